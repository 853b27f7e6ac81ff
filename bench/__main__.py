"""`make bench`: the throughput table, the cost of failures, the starts, memory over a long run, the
application under load."""

from bench import application, failing, memory, pubsub, startup, throughput

throughput.main()
pubsub.main()
failing.main()
startup.main()
memory.main()
application.main()
