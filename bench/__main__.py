"""`make bench`: the throughput table, the starts, and memory over a long run."""

from bench import memory, pubsub, startup, throughput

throughput.main()
pubsub.main()
startup.main()
memory.main()
