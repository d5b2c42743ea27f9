"""The house: who imports whom, configuration that matches the code, a package that works elsewhere."""

import ast
import configparser
import dataclasses
import functools
import inspect
import os
import pathlib
import pickle
import subprocess
import sys
import typing
import zipfile

import omegaconf
import pytest
from hydra import compose, initialize_config_module
from hydra.utils import get_class, get_object, instantiate

from localize.roles import ROLES, unfit_for_role
from tests.conftest import CHECKOUT

LAYERS = [
    {"types", "components", "keys", "progress"},
    {"geometry", "kernels", "networks"},
    {"io"},
    {"weights"},
    {p.__module__.split(".")[1] for protocols in ROLES.values() for p in protocols} - {"io"} | {"evaluate", "render"},
    {"store", "roles"},
    {"stages", "train", "paper"},
    {"datasets"},
    {"pipelines", "localizer", "saved_maps", "preflight"},
    {"cli", "arguments", "comparison", "console", "endings", "given", "help", "sentences", "__main__"},
]
LAYER = {name: level for level, names in enumerate(LAYERS) for name in names}
HYDRA_ONLY_IN = {"localize/cli.py", "localize/sentences.py"}


def sources():
    for folder in ("localize", "datasets", "pipelines"):
        for path in sorted((CHECKOUT / folder).rglob("*.py")):
            yield path, path.relative_to(CHECKOUT)


def imported(path: pathlib.Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            inside = (f"localize.{a.name}" for a in node.names if a.name != "__version__")
            yield from inside if node.module == "localize" else [node.module]


@pytest.mark.parametrize(("path", "name"), list(sources()), ids=lambda p: str(p) if not p.is_absolute() else "")
def test_layers(path, name):
    parts = name.with_suffix("").parts
    room = parts[1] if parts[0] == "localize" else parts[0]
    for module in imported(path):
        assert not (module.split(".")[0] in ("hydra", "omegaconf") and str(name) not in HYDRA_ONLY_IN), module
        if not module.startswith("localize.") or room == "__init__":
            continue
        other = module.split(".")[1]
        assert {other, room} <= LAYER.keys(), f"{other} or {room} has no layer: add it to LAYERS"
        assert LAYER[other] <= LAYER[room], f"{name} imports {module}, which lies higher"
        if LAYER[room] == 4:
            assert other == room or LAYER[other] < 4, f"{name} imports {module}, a neighbour's room"


def as_yaml(value):
    if value in (dataclasses.MISSING, inspect.Parameter.empty):
        return "???"
    if dataclasses.is_dataclass(value):
        fields = {f.name: as_yaml(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"_target_": f"{type(value).__module__}.{type(value).__qualname__}"} | fields
    return [as_yaml(v) for v in value] if isinstance(value, tuple) else value


def given_by_users(target) -> dict:
    """What the YAML of a pipeline or of a component must hold: a part without a default has the fields of its class."""
    if inspect.isclass(target):
        return {f.name: as_yaml(f.default) for f in dataclasses.fields(target)}
    asked = inspect.signature(target).parameters.values()
    own = {p.name: p for p in asked if p.kind is p.KEYWORD_ONLY and p.name not in GIVEN_BY_CLI}
    return {name: nested(p) or as_yaml(p.default) for name, p in own.items()}


def nested(parameter: inspect.Parameter) -> dict | None:
    kind = parameter.annotation
    if parameter.default is not parameter.empty or not dataclasses.is_dataclass(kind):
        return None
    return {"_target_": f"{kind.__module__}.{kind.__qualname__}"} | given_by_users(kind)


GIVEN_BY_CLI = {"dataset", "scene", "reference_scene", "store", "output", "workers", "progress", "upright_asked"}
# where a choice is a class with another setting
SPECIAL = {
    "reconstruction=global": {"method": "global"},
    "feature=hloc": {"format": "hloc"},
    "reranking=dsm_diffusion": {"seeds": "verified"},
}
WORDS = ("quality", "settings")  # these change several groups, and are no parts
CONFIGS = sorted(p for p in (CHECKOUT / "conf").glob("*/*.yaml") if p.parent.name not in WORDS)


@functools.cache
def composed(path: pathlib.Path) -> tuple[omegaconf.DictConfig, list[dict]]:
    """The whole configuration with this choice, and the parts of it that the choice makes: one, or its re-rankers."""
    group = path.parent.name
    own = group in ("pipeline", "table", "reranking")
    with initialize_config_module("localize.conf", version_base=None):
        config = compose("config", [f"{'+' if own else ''}{group}={path.stem}"])
    parts = omegaconf.OmegaConf.to_container(config)
    if group == "reranking":
        return config, parts["ranking"]["rerank"]
    return config, [parts["pipeline" if own else group]]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: f"{p.parent.name}={p.stem}")
def test_config_is_the_class(path):
    """Every field of the class stands in its configuration with the class's default, and nothing else does."""
    for part in composed(path)[1]:
        config = {name: value for name, value in part.items() if (path.stem, name) != ("supplied", "dataset")}
        wanted = given_by_users(get_object(config.pop("_target_")))
        if path.parent.name in ("pipeline", "table"):
            assert config.pop("_partial_") is True
        if path.parent.name == "table" and "table" in wanted:
            wanted["table"] = path.stem
        special = SPECIAL.get(f"{path.parent.name}={path.stem}", {})
        wanted |= {name: value for name, value in special.items() if name in wanted}
        assert config == wanted


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: f"{p.parent.name}={p.stem}")
def test_config_composes_and_instantiates(path):
    """What a user's word makes fits the role it is for, and worker processes can hold it."""
    group, config = path.parent.name, composed(path)[0].copy()
    for key in omegaconf.OmegaConf.missing_keys(config):
        omegaconf.OmegaConf.update(config, key, "x" if key.count(".") == 1 else ["x"])  # parts of a pipeline take lists
    made = instantiate(config, _convert_="all")
    if group in ("pipeline", "table"):
        assert callable(made["pipeline"])
    elif group == "reranking":
        for reranker, its in zip(made["ranking"].rerank, config.ranking.rerank, strict=True):
            assert isinstance(reranker, get_class(its._target_))
    else:
        assert isinstance(made[group], made_by(config[group]._target_))
        assert group not in ROLES or unfit_for_role(group, made[group]) == []
        assert pickle.loads(pickle.dumps(made[group])) == made[group]
    assert {"feature", "retrieval", "index", "search", "matching", "pose", "dataset"} <= set(made)


def made_by(target: str):
    """The class, or the classes that a function says it returns."""
    found = get_object(target)
    return found if isinstance(found, type) else typing.get_type_hints(found)["return"]


def test_every_package_and_config_is_named():
    config = configparser.ConfigParser()
    config.read(CHECKOUT / "setup.cfg")
    named = set(config["options"]["packages"].split())
    found = {"localize"}
    for path, name in sources():
        if path.name == "__init__.py":
            found.add(".".join(name.parent.parts if name.parts[0] == "localize" else ("localize", *name.parent.parts)))
    assert named == found | {"localize.conf"}


def test_wheel_works_from_another_folder(tmp_path):
    """Built, unpacked elsewhere and run there: nothing is taken from the checkout."""
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    copy = tmp_path / "source"
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=CHECKOUT, capture_output=True, text=True
    )
    for name in files.stdout.splitlines():
        if (CHECKOUT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((CHECKOUT / name).read_bytes())
    subprocess.run([*wheel, str(tmp_path), str(copy)], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as z:
        z.extractall(tmp_path / "site")
        assert "localize/datasets/manifests/aachen_v1.json" in z.namelist()
        assert "localize/evaluate/published.json" in z.namelist()
        assert "localize/weights/crbnet256_lite.safetensors" in z.namelist()
        assert not {n.split("/")[0] for n in z.namelist()} - {"localize", "localize-0.1.0.dist-info"}
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONPATH": str(tmp_path / "site")}
    (tmp_path / "elsewhere").mkdir()
    arguments = [
        "+pipeline=serial",  # without the index, whose kernels a new place would have to compile
        "dataset=synthetic",
        "dataset.num_photos=10",
        "dataset.num_points=250",
        "feature=sift",
        "feature.detector=pycolmap",  # for the same reason
        "feature.max_keypoints=2500",
        "workers=1",
        "hydra.run.dir=run",
    ]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "localize", *arguments],
        cwd=tmp_path / "elsewhere",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "3 of 3 queries localized" in done.stdout
    where = "import localize.datasets.strecha as m; print(m.__file__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", where], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.startswith(str(tmp_path / "site")), done.stderr


def test_import_is_light_and_lazy():
    code = "import sys, localize; print(sorted({'numpy', 'pycolmap', 'hydra', 'numba'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
