import socket, time

longest, last = 0.0, time.monotonic()
while True:
    try:
        with socket.create_connection(("127.0.0.1", 8080), timeout=1) as s:
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if s.recv(1):
                now = time.monotonic()
                longest, last = max(longest, now - last), now
    except OSError:
        pass
    with open("/run/gaps", "w") as f:
        f.write(f"{longest * 1000:.0f}\n")
    time.sleep(0.01)
