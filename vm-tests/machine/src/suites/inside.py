# What a program sees from inside its unit. Each answer is a line in the file that the first argument names.
import os, socket, subprocess, sys

seen = open(sys.argv[1], "w")


def ask(name, question):
    try:
        answer = question()
        text = "yes" if answer is None else f"yes: {answer}"
    except Exception as error:
        text = f"no: {error}"
    seen.write(name + "=" + text.replace("\n", " ") + "\n")
    seen.flush()


def run(*words):
    ended = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    if ended.returncode != 0:
        raise OSError(ended.stdout.strip() or f"ended with {ended.returncode}")
    return ended.stdout.strip()


# perl-base reaches any system call; Python's minimal library does not.
def syscall(number, *arguments):
    words = ",".join(str(word) for word in (number, *arguments))
    run("/usr/bin/perl", "-e", f"if (syscall({words}) < 0) {{ print $!; exit 1 }}")


def write(path, text="x"):
    with open(path, "w") as file:
        file.write(text)


def read(path):
    with open(path) as file:
        return file.read()


def connect(address, port):
    socket.create_connection((address, port), timeout=5).close()


def status(field):
    for line in read("/proc/self/status").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()


