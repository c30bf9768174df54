"""What the service costs on the machine this runs on: speed, CPU, memory, latency, against its goals."""
