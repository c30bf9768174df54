"""What ledgers with transactions share: the rules of tasks and chunks, over the pages of a book."""
