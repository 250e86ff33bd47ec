"""Reward models by name: each way a name is read, their order, and what is said of a name or an option that leads
nowhere."""

from __future__ import annotations

import shutil

import pytest

from prm_eval import plugins
from prm_eval.errors import ModelError, PrmEvalError
from prm_eval.rewards import OPTIONS, RESOLVERS, RewardFile, how_fed, load_reward_model, score_pool
from prm_eval.rewards.models import checkpoint, factory
from prm_eval.rewards.models.rules import ArithmeticPRM
from prm_eval.rewards.models.stored import StoredRewardModel

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests


class Required:
    """A third party's model with nothing but the seven required parts; and, where it is told to, with a part
    missing."""

    kind = "orm"
    score_type = "raw"
    aggregation = "last"
    splitter = None

    def __init__(self, argument: str | None = None, *, missing: bool = False) -> None:
        if not missing:
            self.name = "required-parts"

    def describe(self):
        return {"id": "required-parts", "revision": "1"}

    def score(self, items):
        from prm_eval import StepRewards

        return [StepRewards((float(len(item.text)),)) for item in items]


def half(argument=None, **options):
    return Required(missing=True)


def which(name: str, options: dict) -> list[int]:
    """Return the indices of the resolvers that read a name, each asked alone."""
    found = []
    for index, resolver in enumerate(RESOLVERS):
        try:
            if resolver.resolve(name, options) is not None:
                found.append(index)
        except PrmEvalError:
            # it is this resolver's to read, and leads to no model
            found.append(index)
    return found


@pytest.mark.parametrize(
    ("name", "options", "readers"),
    [
        ("arithmetic", {}, [1]),
        ("stored:/no/such/folder", {}, [1]),
        ("arithmetic", {"recipe": "no-such-recipe"}, [0, 1]),
        ("math-shepherd:no/such-model", {}, [2]),
        ("math-shepherd", {}, [2]),
        ("token-classification:/no/such/folder", {}, [1, 2]),
        ("tests.rewards.test_finding:Required", {}, [3]),
        ("no_such_package.module:Thing", {}, [3]),
        ("/no/such/folder", {}, [4]),
        ("./no-such-folder", {}, [4]),
        ("nobody/no-such-model", {}, [4]),
        ("aritmetic", {}, []),
        ("a/b/c", {}, []),
        ("math-sheperd:peiyi9979/math-shepherd-mistral-7b-prm", {}, []),
    ],
)
def test_a_name_is_read_by_the_resolver_of_its_sort(name, options, readers) -> None:
    """A name that two resolvers read is decided by their order; a name that none reads must not be downloaded."""
    assert which(name, options) == readers


def test_the_first_resolver_that_reads_a_name_decides(models, tmp_path, monkeypatch) -> None:
    """A folder called like a registered model, or a given recipe: another order loads another model, without a word."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(models["prm"], tmp_path / "arithmetic")
    assert isinstance(load_reward_model("arithmetic"), ArithmeticPRM)
    assert how_fed(load_reward_model("./arithmetic")) == "token-classification, separator '\\n'"
    given = load_reward_model("arithmetic", recipe="token-classification")
    assert given.describe()["recipe"] == "token-classification"


def test_the_docstring_says_the_order_of_the_resolvers() -> None:
    """It is the promise that users read; a resolver that is added or moved belongs into it."""
    words = ("option ``recipe``", "registered name", "``recipe:checkpoint``", "``package.module:Object``", "hub id")
    text = " ".join(str(load_reward_model.__doc__).split())
    places = [text.index(word, text.index("In this order") + 1) for word in (*words[:-1], "a local checkpoint folder")]
    assert places == sorted(places)
    assert len(RESOLVERS) == len(words)
    assert "recipe" in RESOLVERS[0].reads and "registered" in RESOLVERS[1].reads and "Object" in RESOLVERS[3].reads


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("aritmetic", "Did you mean 'arithmetic'?"),
        ("math-sheperd:peiyi9979/model", "Did you mean 'math-shepherd:peiyi9979/model'?"),
        ("stord:some/folder", "Did you mean 'stored:some/folder'?"),
        ("zzz", "A name is a registered name, alone or as NAME:ARGUMENT; RECIPE:CHECKPOINT"),
        ("zzz", "Installed: arithmetic, boxed-support"),
        ("/no/such/folder", "no folder /no/such/folder: expected a checkpoint"),
        ("tests.rewards.test_finding:half", "it has no name"),
    ],
)
def test_a_name_that_leads_nowhere_says_what_is_near_and_how_names_are_written(name, message) -> None:
    """A misspelt recipe before a hub id was looked up on the hub, with a message about tokens and private
    repositories."""
    with pytest.raises(PrmEvalError) as caught:
        load_reward_model(name)
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", ["prm", "orm"])
def test_a_config_is_loaded_once(models, monkeypatch, kind) -> None:
    """Once to look at the architecture and again in the constructor: two requests to the hub, which may differ."""
    asked: list[str] = []
    load = checkpoint.load
    monkeypatch.setattr(checkpoint, "load", lambda what, *rest: (asked.append(what), load(what, *rest))[1])
    model = load_reward_model(str(models[kind]))
    assert asked.count("config") == 1
    asked.clear()
    named = load_reward_model(f"{model.recipe.name}:{models[kind]}")
    assert asked.count("config") == 1
    assert named.describe() == model.describe()


def test_an_option_that_a_model_does_not_take_is_named_whoever_makes_the_model(models) -> None:
    """Found by signature in one place: for registered classes, objects, recipes, and the two kinds that recipes have
    besides."""
    for name, options, message in (
        ("arithmetic", {"device": "cpu"}, "it takes no device"),
        ("boxed-support", {"splitter": "line", "device": "cpu"}, "it takes no splitter, device"),
        ("tests.rewards.test_finding:Required", {"votes": 3}, "it takes no votes"),
        (str(models["prm"]), {"votes": 3}, "does not take these options: votes"),
        (str(models["prm"]), {"votes": 3, "base_url": "http://x/v1"}, "does not take these options: votes, base_url"),
        (f"token-classification:{models['prm']}", {"votes": 3}, "does not take these options: votes"),
        ("processbench-judge:m", {"base_url": "http://x/v1", "cache": "c"}, "does not take these options: cache"),
        ("implicit-prm:no/model", {"temperature": 1}, "does not take these options: temperature"),
        ("implicit-prm:no/model", {"engine": "vllm"}, "engine (vLLM does not compute log-ratios)"),
    ):
        with pytest.raises(ModelError) as caught:
            load_reward_model(name, **options)
        assert message in str(caught.value), name


def test_no_recipe_model_hides_its_options() -> None:
    """A constructor that swallows ``**options`` would take a misspelt one in silence, and the scores would not be what
    was asked."""
    for made in (*factory.MODELS.values(), factory.RecipeModel):
        wrong = factory.misfit(made, (None, None), dict.fromkeys(["no_such_option"], 1))
        assert wrong is not None and wrong.options == ("no_such_option",)
        taken = [option for option in OPTIONS if factory.misfit(made, (None, None), {option: 1}) is None]
        assert "splitter" in taken and "recipe" not in taken


def test_the_default_engine_is_an_option_of_every_model(models) -> None:
    """--engine local says nothing: a rule, a judge or a pair must not refuse what it would do anyway."""
    assert load_reward_model("arithmetic", engine="local").name == "arithmetic"
    plain, said = (load_reward_model(str(models["prm"]), **each) for each in ({}, {"engine": "local"}))
    assert plain.describe() == said.describe()


def test_a_model_with_the_required_parts_only_is_scored_and_released(pool, tmp_path) -> None:
    """Third parties need no release, device, counters or rendering; the scorer asks for each before it uses it."""
    from prm_eval.rewards.protocol import device_of, free, work_done

    model = load_reward_model("tests.rewards.test_finding:Required")
    rewards = score_pool(pool, model, tmp_path / "r")
    assert "engine" not in rewards.info.run
    assert (device_of(model), work_done(model)) == ("cpu", {})
    free(model)
    stored = load_reward_model(f"stored:{tmp_path / 'r'}")
    assert isinstance(stored, StoredRewardModel)
    assert stored.file.info.name == RewardFile(tmp_path / "r").name == "required-parts"


def test_every_model_of_ours_has_the_parts_that_the_scorer_asks_for(models) -> None:
    """A model whose release or counters are called otherwise keeps its weights, or is recorded as having computed
    nothing."""
    from prm_eval.rewards.protocol import CountsWork, HoldsWeights, OnDevice, RendersAhead, work_done

    model = load_reward_model(str(models["prm"]))
    for part in (CountsWork, HoldsWeights, OnDevice, RendersAhead):
        assert isinstance(model, part)
    for made in factory.MODELS.values():
        assert callable(made.release)
    assert work_done(model) == {}
    assert model.engine.counters.as_dict() == work_done(model)
    model.release()
    assert work_done(model) == {}


def test_registered_names_are_those_of_the_plugins(monkeypatch) -> None:
    """The command `prm-eval plugins` lists what a name can be; a resolver with a list of its own would drift from
    it."""
    entry = plugins.installed("reward model")["arithmetic"]
    monkeypatch.setattr(plugins, "installed", lambda what: {"mine": entry})
    assert which("mine", {}) == [1]
    assert which("arithmetic", {}) == []
