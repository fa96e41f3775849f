"""The commands' help, flags, environment variables and exit statuses agree with each other."""

import re
import subprocess

import pytest
from commands import run
from process import BINARY, MODEL, Server

COMMANDS = ["serve", "embed", "loss", "train", "index", "export", "import", "backup", "check", "migrate", "health"]

INTEGER = re.compile(r"A whole number from (\d+) to (\d+)\.")
CHOICE = re.compile(r"One of ([^.]+)\.")
VARIABLE = re.compile(r"Variable: (\w+)\.")


def helped(command: str) -> dict[str, tuple[str, str]]:
    """The flags that the help of a command shows, each with the placeholder of its value and its meaning on one line."""
    text = run("help", command).stdout.decode()
    _, _, listed = text.partition("\nFlags:\n")
    entries = re.split(r"\n(?=  --)", "\n" + listed.rstrip("\n"))
    flags = {}
    for entry in filter(None, (entry.strip() for entry in entries)):
        term, meaning = re.split(r"\s{2,}|\n\s+", entry, maxsplit=1)
        name, _, value = term.partition(" ")
        flags[name] = (value, " ".join(meaning.split()))
    return flags


FLAGS = {command: helped(command) for command in COMMANDS}


def filled(command: str, flag: str, value: str) -> list[str]:
    """A call that is valid except for the given flag: all required flags have a value."""
    required = [name for name, (_, meaning) in FLAGS[command].items() if "Required." in meaning and name != flag]
    return [command, *(part for name in required for part in (name, "/no/such/place")), f"{flag}={value}"]


def bad_values() -> list[tuple[str, str, str, str]]:
    """Lists (command, flag, a value just outside of what help allows, the rule in the words of help)."""
    found = []
    for command, flags in FLAGS.items():
        for flag, (value, meaning) in flags.items():
            if bounds := INTEGER.search(meaning):
                rule = f"must be a whole number from {bounds[1]} to {bounds[2]}"
                below = str(int(bounds[1]) - 1)
                found += [(command, flag, bad, rule) for bad in (below, str(int(bounds[2]) + 1), "1.5", "+1", " 1", "")]
            elif value == "SECONDS":
                rule = "must be a " + re.search(r"A (number of seconds [^.]+)\.", meaning)[1]
                found += [(command, flag, bad, rule) for bad in ("-1", "86400.1", "nan", "0x1", "soon", "")]
                if "above 0" in meaning:
                    found.append((command, flag, "0", rule))
            elif value == "CIDR":
                rule = "must be an address, or a network such as 10.0.0.0/8 without bits set behind its prefix"
                found += [(command, flag, bad, rule) for bad in ("host", "10.0.0.1/8", "::/129", "")]
            elif value == "ORIGIN":
                rule = "must be an origin of web pages such as https://example.com, or *"
                found += [(command, flag, bad, rule) for bad in ("x", "example.com", "https://example.com/path", "")]
            elif "|" in value:
                words = value.split("|")
                rule = "must be true or false" if words == ["true", "false"] else f"must be one of {', '.join(words)}"
                found += [(command, flag, bad, rule) for bad in ("x", words[0].upper(), "")]
            elif choices := CHOICE.search(meaning):
                found += [(command, flag, bad, f"must be one of {choices[1]}") for bad in ("x", "")]
            elif value == "":
                found += [(command, flag, bad, "must be true or false") for bad in ("yes", "1", "")]
    return found


@pytest.mark.parametrize("arguments", [["help"], ["--help"], ["-h"], ["help", "--help"]])
def test_help_lists_the_commands(arguments):
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    listed = re.search(r"\nCommands:\n(.*?)\n\n", text, re.DOTALL)[1]
    assert [line.split()[0] for line in listed.splitlines()] == [*COMMANDS, "completion", "help", "version"]
    assert "--" not in re.sub("--(help|man|version)", "", listed)
    assert all(f"\n  {status} " in text for status in (0, 1, 2))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_its_flags_alone(command):
    done = run("help", command)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert text.startswith(f"usage: nearfar {command}")
    assert all(len(line) <= 100 for line in text.splitlines())
    for other in ([command, "--help"], [command, "-h"], [command, "--bogus", "--help"]):
        again = run(*other)
        assert (again.returncode, again.stdout, again.stderr) == (0, done.stdout, b"")
    assert FLAGS[command].keys() == {
        "serve": {
            "--host", "--port", "--admin-port", "--model", "--reranker", "--max-seq-length", "--default-prompt", "--data", "--store", "--store-listen", "--follow", "--snapshot-dir", "--low-memory", "--precision", "--threads", "--loops", "--log-format",
            "--compression", "--accept-token-ids", "--access-log", "--api-key-file", "--cors-origin",
            "--tls-cert", "--tls-key", "--tls-client-ca", "--tls-client-auth",
            "--max-connections-per-client", "--max-requests-per-client", "--max-requests-per-key", "--max-memory-in-flight", "--embedding-cache-mb", "--proxy-protocol", "--trusted-proxy",
            "--max-connections", "--idle-timeout", "--drain-timeout", "--shutdown-delay", "--queue-timeout", "--request-timeout", "--max-body-bytes", "--max-inputs",
            "--max-input-chars", "--max-dim", "--max-k", "--max-json-depth", "--max-head-bytes", "--max-fields",
        },
        "embed": {
            "--input", "--output", "--text-field", "--model", "--max-seq-length", "--normalize", "--dimensions", "--prompt-name", "--input-type", "--truncate", "--precision", "--threads",
        },
        "loss": {
            "--queries", "--keys", "--negatives", "--positives", "--labels", "--queue", "--objective", "--temperature",
            "--normalize", "--in-batch-negatives", "--bias", "--return", "--output", "--threads",
        },
        "train": {
            "--model", "--static", "--teacher", "--teacher-weight", "--dimensions", "--pairs", "--texts", "--output", "--objective", "--temperature", "--batch", "--epochs", "--steps", "--lr", "--schedule",
            "--warmup", "--weight-decay", "--clip", "--layer-decay", "--freeze", "--lora", "--lora-alpha", "--precision", "--max-tokens", "--chunk-tokens",
            "--dropout", "--seed", "--shuffle", "--eval", "--eval-every", "--patience", "--checkpoint-every", "--resume", "--momentum", "--queue",
            "--query-prompt", "--document-prompt", "--threads",
        },
        "index": {
            "--input", "--collection", "--text-field", "--id-field", "--metadata-fields", "--batch", "--skip-bad",
            "--url", "--retry", "--api-key-file", "--ca-file", "--insecure",
        },
        "export": {"--collection", "--output", "--after", "--limit", "--shard-points", "--url", "--retry", "--api-key-file", "--ca-file", "--insecure"},
        "import": {"--input", "--collection", "--metric", "--engine", "--batch", "--url", "--retry", "--api-key-file", "--ca-file", "--insecure"},
        "backup": {"--data", "--output"},
        "check": {"--data"},
        "migrate": {"--from", "--to"},
        "health": {"--url", "--api-key-file", "--ca-file", "--insecure"},
    }[command]


def test_version():
    for word in ("version", "--version"):
        done = run(word)
        assert done.returncode == 0 and re.fullmatch(rb"nearfar \d+\.\d+\.\d+\S*\n", done.stdout) and not done.stderr


def test_help_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BINARY, "help"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"standard output" in done.stderr


@pytest.mark.parametrize(
    "arguments, cause, place",
    [
        ([], "a command is needed", "nearfar help"),
        (["servve"], "unknown command 'servve'", "nearfar help"),
        (["help", "servve"], "unknown command 'servve'", "nearfar help"),
        (["help", "serve", "loss"], "one command", "nearfar help"),
        (["version", "x"], "unexpected argument 'x'", "nearfar help"),
        (["check", "x"], "unexpected argument 'x'", "nearfar help check"),
        (["check", "--port", "1"], "unknown flag --port", "nearfar help check"),
        (["health", "--port", "1"], "unknown flag --port", "nearfar help health"),
        (["serve", "--output", "x"], "unknown flag --output", "nearfar help serve"),
        (["serve", "--data", "--low-memory"], "--data needs a value", "nearfar help serve"),
        (["serve", "--low-memory"], "--low-memory keeps vectors in a file and needs --data DIR", "nearfar help serve"),
        (["serve", "--data="], "--data must not be empty", "nearfar help serve"),
        (["serve", "--model="], "--model must not be empty", "nearfar help serve"),
        (["serve", "--model", "a="], "--model must not be empty", "nearfar help serve"),
        (["serve", "--model", "a", "--model", "b"], "--model: there is no folder 'a,b'; several models need names, as in --model NAME=DIR", "nearfar help serve"),
        (["serve", "--model", "x=a", "--model", "b"], "--model: there is no folder 'a,b'; several models need names, as in --model NAME=DIR", "nearfar help serve"),
        (["serve", "--model", "x=a", "--model", "y=b", "--model", "x=c"], "--model: several models need names of their own, and 'x' stands there twice", "nearfar help serve"),
        *(
            (["serve", "--model", f"{name}=a"], f"--model: '{name}' cannot be a model's name: names have ASCII letters, digits and the characters . _ - : @ + alone", "nearfar help serve")
            for name in ("", "a/b", "a b", "a?", "a#b", "a%2Fb", "日本", "é")
        ),
        (["serve", "--precision", "fp16"], "--precision must be one of auto, f32, bf16, int8, not 'fp16'", "nearfar help serve"),
        (["serve", "--precision", "f7"], "--precision must be one of auto, f32, bf16, int8, not 'f7'", "nearfar help serve"),
        (["backup", "--data", "d"], "--output is required", "nearfar help backup"),
        (["backup", "--data", ":memory:", "--output", "f"], "--data must be", "nearfar help backup"),
        (["migrate", "--to", "postgresql://h/d"], "--from is required", "nearfar help migrate"),
        (["migrate", "--from", ":memory:"], "--from must be the path of a data folder", "nearfar help migrate"),
        (["health", "--url", "ftp://h"], "--url must begin with http:// or https://", "nearfar help health"),
        (["index", "--input", "f"], "--collection is required", "nearfar help index"),
    ],
)
def test_a_wrong_call(arguments, cause, place):
    done = run(*arguments)
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b""), said
    assert cause in said and said.endswith(f"\nnearfar: see '{place}'\n")


def test_models_without_names_in_a_variable():
    done = run("serve", environment={"NEARFAR_MODEL": "a,b"})
    assert done.returncode == 2 and b"--model (from NEARFAR_MODEL): there is no folder 'a,b'; several models need names" in done.stderr


def test_names_and_folders_of_models(tmp_path):
    """A comma in the path of a folder that exists, an = behind ./, and every character that names may have."""
    comma = tmp_path / "a,b"
    comma.symlink_to(MODEL)
    with Server("--model", f"aZ0._-:@+={comma}", model=None) as own:
        assert [each["name"] for each in own.get("/info").json()["models"]] == ["aZ0._-:@+"]
        assert own.get("/v1/models/aZ0._-:@+").json()["id"] == "aZ0._-:@+"
    (tmp_path / "x=y").symlink_to(MODEL)
    with Server("--model", str(tmp_path / "x=y"), model=None) as own:
        assert own.get("/info").json()["model"]["name"] == "x=y"


@pytest.mark.parametrize("command, flag, value, rule", bad_values())
def test_help_error_and_behaviour_agree(command, flag, value, rule):
    done = run(*filled(command, flag, value))
    assert (done.returncode, done.stdout) == (2, b""), done.stderr
    assert f"{flag} {rule}, not '{value}'" in done.stderr.decode()


@pytest.mark.parametrize("flag", FLAGS["serve"])
def test_every_flag_of_serve_is_a_variable(flag):
    variable = "NEARFAR_" + flag[2:].replace("-", "_").upper()
    assert VARIABLE.search(FLAGS["serve"][flag][1])[1] == variable
    rules = {name: rule for command, name, _, rule in bad_values() if command == "serve"}
    done = run("serve", environment={variable: "" if flag not in rules else "x"})
    said = done.stderr.decode()
    assert done.returncode == 2, said
    assert f"{flag} (from {variable}) {rules.get(flag, 'must not be empty')}" in said


@pytest.mark.parametrize("command", ["index", "export", "import", "health"])
def test_the_variable_of_the_address(command):
    required = filled(command, "", "")[1:-1]
    done = run(command, *required, environment={"NEARFAR_URL": "ftp://x"})
    assert done.returncode == 2 and b"--url must begin with http://" in done.stderr


def test_bounds_themselves_are_taken(tmp_path):
    """A service starts with the largest values that help allows."""
    flags = {flag: INTEGER.search(meaning) for flag, (_, meaning) in FLAGS["serve"].items() if flag.startswith(("--max-", "--embedding-cache-"))}
    assert all(flags.values())
    # More tokens than the model takes would not be taken, whatever the flag allows.
    del flags["--max-seq-length"]
    largest = [part for flag, bounds in flags.items() for part in (flag, bounds[2])]
    # The limit of a key needs keys.
    (tmp_path / "keys").write_text("a:a-0123456789abcdef\n")
    largest += ["--api-key-file", str(tmp_path / "keys")]
    with Server(*largest, "--idle-timeout", "86400", "--drain-timeout", "86400", "--threads", "1", "--loops", "64") as server:
        limits = server.get("/info", headers={"X-Api-Key": "a-0123456789abcdef"}).json()["limits"]
        assert limits == {flag[2:].replace("-", "_"): int(bounds[2]) for flag, bounds in flags.items()}


def test_defaults_are_those_that_help_names(server):
    limits = server.get("/info").json()["limits"]
    # It depends on the machine.
    assert limits.pop("max_memory_in_flight") >= 1 << 20
    for name, value in limits.items():
        assert f"Default: {value}." in FLAGS["serve"]["--" + name.replace("_", "-")][1]


def test_health(server):
    ready = run("health", "--url", f"{server.url}/ignored")
    assert (ready.returncode, ready.stdout, ready.stderr) == (0, b"ready\n", b"")
    by_port = run("health", environment={"NEARFAR_PORT": str(server.port)})
    assert (by_port.returncode, by_port.stdout) == (0, b"ready\n")
    by_address = run("health", environment={"NEARFAR_URL": server.url, "NEARFAR_PORT": "9"})
    assert by_address.returncode == 0
    wrong = run("health", environment={"NEARFAR_PORT": "tcp://10.0.0.1:80"})
    assert wrong.returncode == 2 and b"NEARFAR_PORT" in wrong.stderr
    # A service that cannot be reached is a failed job, not a wrong call.
    away = run("health", "--url", "http://127.0.0.1:9")
    assert (away.returncode, away.stdout) == (1, b"") and b"connect" in away.stderr


def test_a_job_that_fails(tmp_path):
    for arguments in (
        ["check", "--data", tmp_path / "none"],
        ["backup", "--data", tmp_path / "none", "--output", tmp_path / "copy"],
        ["serve", "--port", "0", "--model", tmp_path / "none"],
        ["serve", "--port", "0", "--model", MODEL, "--host", "203.0.113.1"],
        ["loss", "--queries", tmp_path / "none", "--keys", tmp_path / "none"],
    ):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (1, b""), arguments
        assert done.stderr
