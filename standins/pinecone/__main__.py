"""`python -m standins.pinecone --port 8200`."""

import sys

from standins.pinecone.serving import main

sys.exit(main(sys.argv[1:]))
