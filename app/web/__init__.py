"""The dashboard: pages for people, made with the functions of the API. It decides nothing."""
