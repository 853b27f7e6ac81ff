"""`make bench`: the throughput table, the starts, and memory over a long run."""

from bench import memory, startup, throughput

throughput.main()
startup.main()
memory.main()
