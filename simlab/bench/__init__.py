"""The benchmarks behind simlab bench."""
