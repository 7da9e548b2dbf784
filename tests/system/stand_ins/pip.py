"""pip of the machine's environment, without an index: what is asked for must be in the environment of the
tests, and is used from there."""

import re
import sys
import sysconfig
import tomllib
from importlib.metadata import version
from pathlib import Path

packages, arguments = sys.argv[1], sys.argv[2:]
sys.path.append(packages)

match arguments:
    case ["install", "--require-hashes", "-r", file]:
        pins = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", Path(file).read_text(), re.M)
        wrong = [f"{name}=={pin}" for name, pin in pins if version(name) != pin]
        if wrong or not pins:
            sys.exit(f"ERROR: the environment of the tests lacks: {wrong or file}")
        (Path(sysconfig.get_path("purelib")) / "pins.pth").write_text(packages + "\n")
    case ["install", "--no-deps", "."]:
        for name, place in tomllib.loads(Path("pyproject.toml").read_text())["project"]["scripts"].items():
            module, function = place.split(":")
            script = Path(sys.prefix, "bin", name)
            script.write_text(
                f"#!{sys.prefix}/bin/python3\nimport sys\n\nfrom {module} import {function}\n\n"
                f"sys.exit({function}())\n"
            )
            script.chmod(0o755)
        (Path(sysconfig.get_path("purelib")) / "sekisho.pth").write_text(f"{Path('src').absolute()}\n")
    case other:
        sys.exit(f"this stand-in for pip does not know: {other}")
