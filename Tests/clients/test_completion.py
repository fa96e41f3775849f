"""Completion scripts and the manual page come from the same table as help, and their readers accept them."""

import os
import re
import subprocess

import pytest
from commands import run
from test_command_line import COMMANDS, FLAGS

WORDS = [*COMMANDS, "completion", "help", "version"]


def script(shell: str) -> str:
    done = run("completion", shell)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def bash_completes(folder, *words: str) -> list[str]:
    """What bash offers for the last of the words behind `nearfar`, which are split where bash splits them."""
    program = """
        source nearfar.bash
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        [[ $(complete -p nearfar) == 'complete -F _nearfar nearfar' ]] || exit 1
        _nearfar nearfar "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        (( ${#COMPREPLY[@]} == 0 )) || printf '%s\\n' "${COMPREPLY[@]}"
    """
    (folder / "nearfar.bash").write_text(script("bash"))
    done = subprocess.run(
        ["bash", "--norc", "-c", program, "bash", "nearfar", *words], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.fixture
def folder(tmp_path):
    for name in ("data", "data of old"):
        (tmp_path / name).mkdir()
    (tmp_path / "data.safetensors").touch()
    return tmp_path


@pytest.mark.parametrize(
    "words, offered",
    [
        ([""], WORDS),
        (["he"], ["health", "help"]),
        (["nothing"], []),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["completion", "bash", ""], []),
        (["help", "e"], ["embed", "export"]),
        (["version", ""], []),
        (["serve", "--tls"], ["--tls-cert", "--tls-key", "--tls-client-ca", "--tls-client-auth"]),
        (["serve", "--log-format", ""], ["text", "json"]),
        (["serve", "--log-format", "=", "j"], ["json"]),
        (["serve", "--log-format", "="], ["text", "json"]),
        (["serve", "--port", ""], []),
        (["serve", "--low-memory", "--port"], ["--port"]),
        (["serve", "--acc"], ["--accept-token-ids", "--access-log"]),
        (["serve", "--accept-token-ids", "--port"], ["--port"]),
        (["serve", "--data", "d"], ["data", "data of old"]),
        (["loss", "--normalize", "f"], ["false"]),
        (["loss", "--objective", "s"], ["symmetric", "supcon", "sigmoid", "simsiam"]),
        (["loss", "--queries", "d"], ["data", "data of old", "data.safetensors"]),
    ],
)
def test_bash_completes(folder, words, offered):
    assert sorted(bash_completes(folder, *words)) == sorted(offered)


@pytest.mark.parametrize("command", COMMANDS)
def test_bash_offers_every_flag(folder, command):
    assert bash_completes(folder, command, "--") == list(FLAGS[command])


def test_bash_completes_a_line_that_is_typed(folder):
    """An interactive bash, in which the completed word is run as part of a command."""
    (folder / "nearfar.bash").write_text(script("bash"))
    (folder / "nearfar").write_text('#!/bin/sh\necho "called: $*"\n')
    (folder / "nearfar").chmod(0o755)
    typed = "source ./nearfar.bash\nPATH=$PWD:$PATH\nnearfar ser\t--log-f\tjs\t\nexit\n"
    # Without a terminal, readline reads the lines nonetheless when it is asked for.
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-i"], cwd=folder, input=typed, capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": ""})
    assert "called: serve --log-format json" in done.stdout, done.stdout + done.stderr


def fish_completes(folder, line: str) -> list[str]:
    (folder / "nearfar.fish").write_text(script("fish"))
    done = subprocess.run(
        ["fish", "--no-config", "-c", "source nearfar.fish; complete -C $argv[1]", line], cwd=folder, capture_output=True,
        text=True, env={**os.environ, "HOME": str(folder)})
    assert (done.returncode, done.stderr) == (0, "")
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


def test_fish_completes(folder):
    assert sorted(fish_completes(folder, "nearfar ")) == sorted(WORDS)
    assert sorted(fish_completes(folder, "nearfar completion ")) == ["bash", "fish", "zsh"]
    assert sorted(fish_completes(folder, "nearfar serve --log-format ")) == ["json", "text"]
    assert fish_completes(folder, "nearfar serve --port ") == []
    assert sorted(fish_completes(folder, "nearfar serve --data d")) == ["data of old/", "data/"]
    for command in COMMANDS:
        assert set(fish_completes(folder, f"nearfar {command} --")) == set(FLAGS[command])


def test_zsh_completes(folder):
    """A zsh in a terminal of its own, which lists what it would offer."""
    (folder / "_nearfar").write_text(script("zsh"))
    subprocess.run(["zsh", "-n", folder / "_nearfar"], check=True)
    program = r"""
        zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -w shell "PROMPT=; fpath=($PWD \$fpath); autoload -Uz compinit; compinit -u -d $PWD/dump"
        zpty -w shell "zstyle ':completion:*' list-grouped false; LISTMAX=10000; COLUMNS=300; LINES=200; bindkey '^X' list-choices"
        zpty -w shell "print READY''MARK"
        zpty -r -m shell answer '*READYMARK*'
        zpty -w -n shell "$1"$'\C-x'
        sleep 1
        zpty -w -n shell $'\C-u'
        zpty -w shell "print DONE''MARK"
        zpty -r -m shell answer '*DONEMARK*'
        print -r -- $answer
    """

    def offered(line: str) -> str:
        done = subprocess.run(
            ["zsh", "-f", "-c", program, "zsh", line], cwd=folder, capture_output=True, text=True, timeout=60,
            env={"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(folder)})
        assert done.returncode == 0, done.stderr
        return done.stdout

    words = offered("nearfar ")
    assert all(re.search(rf"\b{word}\s+-- ", words) for word in WORDS), words
    flags = offered("nearfar serve --")
    assert all(re.search(rf"{flag}\s+-- ", flags) for flag in FLAGS["serve"]), flags
    values = offered("nearfar loss --objective ")
    assert "supcon" in values and "moco" in values, values


def test_the_scripts_stay_on_the_table():
    for shell in ("bash", "zsh", "fish"):
        text = script(shell)
        for flag in {flag for flags in FLAGS.values() for flag in flags}:
            assert flag in text or f"-l {flag[2:]}" in text


@pytest.mark.parametrize(
    "arguments, cause",
    [
        ([], "completion needs the name of a shell: bash, zsh or fish"),
        (["ksh"], "the shell must be bash, zsh or fish, not 'ksh'"),
        (["bash", "zsh"], "unexpected argument 'zsh'"),
    ],
)
def test_a_wrong_call_of_completion(arguments, cause):
    done = run("completion", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == f"nearfar: {cause}\nnearfar: see 'nearfar help'\n"


def manual() -> bytes:
    done = run("help", "--man")
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def test_the_manual_page_shows_every_flag():
    text = manual().decode()
    for command, flags in FLAGS.items():
        section = text.split(f"\n.SS nearfar {command}\n", 1)[1].split("\n.SS ", 1)[0]
        shown = re.findall(r"^\.TP\n\\fB(\S+)\\fR", section, re.MULTILINE)
        assert [name.replace("\\-", "-") for name in shown] == list(flags)
    # Every line that begins with a point is a request that was meant.
    requests = set(re.findall(r"^[.'](\w*)", text, re.MULTILINE))
    assert requests == {"TH", "SH", "SS", "TP", "PP", "br"}


@pytest.mark.parametrize(
    "reader",
    [
        ["mandoc", "-Tlint", "-W", "error"],
        ["groff", "-man", "-ww", "-Tutf8", "-z"],
    ],
    ids=lambda reader: reader[0],
)
def test_the_manual_page_is_clean(tmp_path, reader):
    (tmp_path / "nearfar.1").write_bytes(manual())
    done = subprocess.run([*reader, tmp_path / "nearfar.1"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
