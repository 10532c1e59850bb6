"""One list of versions: pyproject.toml says what is needed, the locks what is installed, environment.yml uses a lock."""

from pathlib import Path
import re
import tomllib

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())


def pins(lock):
    lines = (ROOT / lock).read_text().splitlines()
    found = [re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)", line) for line in lines]
    return [(canonicalize_name(match[1]), match[2]) for match in found if match]


def test_conda_and_pyproject_ask_for_the_same_python():
    python = next(line for line in CONDA["dependencies"] if str(line).startswith("python"))
    assert SpecifierSet(python.removeprefix("python")) == SpecifierSet(PROJECT["requires-python"])


def test_conda_installs_the_lock_and_nothing_else():
    names = [line if isinstance(line, str) else "pip part" for line in CONDA["dependencies"]]
    assert [name.split(">")[0] for name in names] == ["python", "pip", "pip part"]
    assert CONDA["dependencies"][-1] == {"pip": ["-r requirements.lock"]}


@pytest.mark.parametrize(("lock", "extras"), [("requirements.lock", ["dev"]), ("requirements-all.lock", None)])
def test_the_lock_holds_a_fitting_version_of_everything_pyproject_asks_for(lock, extras):
    optional = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *(line for extra in extras or optional for line in optional[extra])]
    held = pins(lock)
    for line in wanted:
        requirement = Requirement(line)
        versions = [version for name, version in held if name == canonicalize_name(requirement.name)]
        assert versions or requirement.name == PROJECT["name"], (
            f"{requirement.name} is not in {lock}: run `make lock`"
        )
        assert all(requirement.specifier.contains(version, prereleases=True) for version in versions), line


def test_both_locks_agree():
    assert set(pins("requirements.lock")) <= set(pins("requirements-all.lock"))


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-all.lock"])
def test_every_pin_has_a_hash_and_no_address_of_an_index(lock):
    text = (ROOT / lock).read_text()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
