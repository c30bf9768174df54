"""What gunicorn reads by itself where it is started in this folder; its command line goes before it."""

keepalive = 75  # longer than proxies keep a connection: with 2 s a request may meet one that is just closed
