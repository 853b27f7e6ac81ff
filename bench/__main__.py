"""`make bench`."""

from bench.throughput import main

main()
