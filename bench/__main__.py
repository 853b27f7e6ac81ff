"""`make bench`: the throughput table, what failures cost, the starts, and memory over a long run."""

from bench import failing, memory, pubsub, startup, throughput

throughput.main()
pubsub.main()
failing.main()
startup.main()
memory.main()
