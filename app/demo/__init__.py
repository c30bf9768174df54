"""What `make demo` needs beside the product: a table to index, and the service to index it with."""
