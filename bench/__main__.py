"""`make bench`: the throughput table, the cost of failures, the starts, memory over a long run."""

from bench import failing, memory, pubsub, startup, throughput

throughput.main()
pubsub.main()
failing.main()
startup.main()
memory.main()
