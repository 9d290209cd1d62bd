"""The HTTP interface: listening sockets, connections, requests read strictly, and the application that answers them."""
