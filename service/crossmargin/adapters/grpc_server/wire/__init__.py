"""Messages of the API to values of the domain and back; nothing else. One file per noun."""
