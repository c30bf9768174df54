"""`python -m standins.openai --port N`."""

import sys

from standins.desk import main
from standins.openai.provider import OpenAI

if __name__ == "__main__":
    sys.exit(main("openai", OpenAI(), sys.argv[1:]))
