"""`lswag-fast score`: the user's own networks, by one proxy, by several and by all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from lswag_fast import TokenLoss, data, list_proxies, score
from lswag_fast.cli import main
from lswag_fast.integrations import TokenInputs, named_network
from support import user_networks
from support.offline import refuse_network
from support.zoo_libraries import library

FACTORY = """
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)).eval()
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    (tmp_path / "cnn_factory.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)

    def score(*argv: str) -> tuple[int, str, str]:
        size = ["--image-size", "8", "--batch-size", "6", "--num-classes", "3", "--pattern-samples", "6"]
        code = main(["score", "cnn_factory:make", *size, "--features", "[03]", *argv])
        return code, *capsys.readouterr()

    return score


def test_a_network_of_tokens_says_that_it_was_given_images(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "support.user_networks:Decoder", "--image-size", "8", "--batch-size", "4"]) == 2
    said = r"'indices'.*\. The command line gives a network of yours images .*, or texts with --length; call lswag_fast"
    assert re.search(said, capsys.readouterr().err)


@pytest.mark.parametrize(("factory", "masked"), [("Decoder", False), ("Encoder", True)])
def test_a_language_model_of_ones_own_is_scored_on_texts(
    capsys: pytest.CaptureFixture[str], factory: str, masked: bool
) -> None:
    given = ["--length", "12", "--batch-size", "6", "--pattern-samples", "6", "--seed", "3", *["--masked"] * masked]
    assert main(["score", f"support.user_networks:{factory}", *given, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    torch.manual_seed(3)
    drawn = data.load_text("alice", batch_size=6, length=12, masked=masked, seed=3)
    model = getattr(user_networks, factory)()
    assert found["value"] == score(model, drawn.batch, loss_fn=TokenLoss(), pattern_samples=6, seed=3).value
    assert found["data"] == drawn.description


def test_a_file_of_text_and_a_loss_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_text("Call me what you like; the sea does not mind. " * 3)
    (tmp_path / "loss_of_texts.py").write_text(
        "def all_of_them(logits, labels):\n    return logits.flatten(1).sum(1)\n"
    )
    command = ["score", "support.user_networks:Decoder", "--length", "12", "--batch-size", "6", "--proxies", "zico"]
    assert main([*command, "--data", "book.txt"]) == 0
    plain = capsys.readouterr().out
    assert "book.txt, 6 texts of 12 bytes, next byte, seed 0" in plain
    assert main([*command, "--data", "book.txt", "--loss", "loss_of_texts:all_of_them"]) == 0
    own = capsys.readouterr().out
    assert re.findall(r"score: \S+", plain) != re.findall(r"score: \S+", own)


@pytest.mark.parametrize(
    ("factory", "options", "words"),
    [
        ("Decoder", ("--length", "8", "--data", "nowhere.txt"), "--data: data nowhere.txt: cannot be read"),
        (
            "Decoder",
            ("--length", "8", "--masked"),
            "with --masked also 256; leave it out",
        ),  # no row for the hidden ones
        ("cnn", ("--length", "8"), "With --length the command line gives a network of yours texts"),
        ("Decoder", ("--length", "8", "--split", "train"), "--split: support.user_networks:Decoder takes texts"),
        ("Decoder", ("--length", "8", "--task", "jigsaw"), "--task: support.user_networks:Decoder takes texts"),
        ("Decoder", ("--length", "8", "--image-size", "8"), "--image-size is of images, and --length asks for texts"),
        ("Decoder", ("--length", "8", "--num-classes", "8"), "--num-classes is of images, and --length asks"),
        ("Decoder", ("--masked",), "--masked is of texts; say with --length how many tokens they have"),
        ("Decoder", ("--data", "alice"), "--data alice is of texts; say with --length"),
        ("Decoder", ("--length", "8", "--ignore-index", "3"), "--ignore-index, --class-axis: "),
    ],
)
def test_what_texts_cannot_have_is_refused(
    capsys: pytest.CaptureFixture[str], factory: str, options: tuple[str, ...], words: str
) -> None:
    assert main(["score", f"support.user_networks:{factory}", "--batch-size", "4", *options]) == 2
    assert words in (err := capsys.readouterr().err), err


@pytest.mark.parametrize("network", ["torchvision:mnasnet0_5", 'gpt:{"width":64,"num_heads":[2],"mlp_ratio":[4]}'])
def test_only_a_network_of_ones_own_is_told_to_tell_hidden_bytes(
    capsys: pytest.CaptureFixture[str], network: str
) -> None:
    assert main(["score", network, "--masked"]) == 2
    assert "says itself which tokens it tells; leave it out" in capsys.readouterr().err


def test_repeats_are_shown_with_their_mean_and_its_error(run: Any) -> None:
    code, out, _ = run("--proxies", "zico", "--repeats", "3", "--pattern-samples", "2", "--init", "kaiming")
    assert code == 0
    assert re.search(r"^zico score: \S+ \+- \S+ \(higher is better\)$", out, re.MULTILINE)
    assert "3 repeats of 2 samples each: their mean +- its standard error" in out
    assert out.startswith("layers of the first of 3 repeats:\n")
    code, out, _ = run("--proxies", "zico,params", "--repeats", "3", "--pattern-samples", "2")
    assert code == 0
    assert re.search(r"^zico +\S+ \+- \S+ +higher", out, re.MULTILINE)
    assert re.search(r"^params +\d+ \+- 0 +higher", out, re.MULTILINE)
    _, out, _ = run("--proxies", "zico", "--repeats", "3", "--pattern-samples", "2", "--json", "-")
    assert len(json.loads(out)["repeated"]) == 3
    code, _, err = run("--proxies", "zico", "--repeats", "4")
    assert code == 2 and "4 repeats cut the batch into equal parts" in err


@pytest.mark.parametrize("count", ["0", "-1", "two"])
def test_a_number_of_repeats_below_1_is_refused(count: str, run: Any) -> None:
    code, _, err = run("--repeats", count)
    assert code == 2 and f"argument --repeats: '{count}' is not a whole number of at least 1" in err


def test_without_a_value_of_any_proxy_the_command_fails(run: Any) -> None:
    code, out, _ = run("--proxies", "dss,epe_nas", "--num-classes", "1")
    assert code == 2
    assert "without a score:" in out and "dss: " in out and "epe_nas: " in out
    code, _, _ = run("--proxies", "dss,params")
    assert code == 0


def test_all_proxies_make_one_table(run: Any) -> None:
    code, out, err = run("--proxies", "all")
    assert (code, err) == (0, "")
    shown = dict(re.findall(r"^(\w+) +(\S+) +(?:higher|lower)", out, re.MULTILINE))
    assert set(shown) == {info.name for info in list_proxies() if not info.parts}
    without = [name for name, value in shown.items() if value == "-"]
    assert without == ["dss", "head_confidence", "w_pca"]  # a CNN has no attention
    assert "dss: dss is for vision transformers" in out
    assert "11 passes: model, standard, synflow" in out


def test_one_pass_is_one(run: Any) -> None:
    assert "\n1 pass: standard\n" in run("--proxies", "nwot,swap")[1]


def test_several_as_json(run: Any) -> None:
    code, out, _ = run("--proxies", "snip, te_nas,dss", "--json", "-")
    content = json.loads(out)
    assert code == 0
    assert list(content["scores"]) == ["snip", "te_nas_ntk", "te_nas_regions", "dss"]
    assert content["scores"]["dss"]["value"] is None
    assert content["passes"] == ["standard", "synflow", "ntk"]


@pytest.mark.parametrize(("proxies", "fast"), [("lswag", 4), ("lswag,zico,nwot,params", 8)])
def test_how_exact_a_score_is_stands_beside_it(run: Any, proxies: str, fast: int) -> None:
    for given, words in (
        ((), "fidelity exact: gradients of 12 of 12 samples, patterns of 6; precision float32"),
        (("--fidelity", "fast"), f"fidelity fast: gradients of {fast} of 12 samples, patterns of 6; precision float32"),
        (("--repeats", "2"), "fidelity exact: gradients of 6 of 6 samples, patterns of 6; precision float32"),
    ):
        assert f"\n{words}\n" in run("--proxies", proxies, "--batch-size", "12", *given)[1]


def test_what_has_no_fidelity_says_nothing_of_one(run: Any) -> None:
    assert "\nfidelity exact: patterns of 6 of 6 samples; precision float32\n" in run("--proxies", "nwot,swap")[1]
    assert "fidelity" not in run("--proxies", "params,synflow")[1]


def test_one_proxy_says_which_way_is_better(run: Any) -> None:
    code, out, _ = run("--proxies", "te_nas_ntk")
    assert code == 0
    assert re.search(r"te_nas_ntk score: [\d.e+]+ \(lower is better\)", out)


def test_an_option_of_a_proxy(run: Any) -> None:
    values = [
        json.loads(run("--proxies", "reg_swap", "--json", "-", "--set", f"reg_swap.sigma={sigma}")[1])["value"]
        for sigma in (25, 50)
    ]
    assert values[0] < values[1]
    code, _, err = run("--proxies", "snip", "--set", "zen.batch_norm=optional")
    assert (code, "'zen' is not among the proxies" in err) == (2, True)
    code, _, err = run("--proxies", "zen", "--set", "batch_norm=optional")
    assert (code, "is not PROXY.OPTION=VALUE" in err) == (2, True)


def test_an_unknown_name_is_a_mistake_with_a_proposal(run: Any) -> None:
    code, out, err = run("--proxies", "snip,sinflow")
    assert (code, out) == (2, "")
    assert "did you mean 'synflow'?" in err


def test_score_of_the_users_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "support.user_networks:cnn", "--image-size", "16"]) == 0
    out = capsys.readouterr().out
    assert "0.weight" in out
    assert "lswag score: " in out


def test_score_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "support.user_networks:cnn", "--image-size", "16", "--data", "digits", "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [layer["name"] for layer in result["layers"]] == ["0.weight", "4.weight"]
    assert result["n_samples"] == 32
    assert "digits" in result["data"]


def test_the_seed_draws_the_users_weights(capsys: pytest.CaptureFixture[str]) -> None:
    values = []
    for seed in ("1", "1", "2"):
        main(["score", "support.user_networks:cnn", "--image-size", "16", "--json", "-", "--seed", seed])
        values.append(json.loads(capsys.readouterr().out)["value"])
    assert values[0] == values[1] != values[2]


def test_eval_mode_keeps_samples_apart(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["score", "support.user_networks:batchnorm", "--image-size", "16"]
    assert main(command) == 0
    assert "BatchNorm in train mode" in capsys.readouterr().err
    assert main([*command, "--mode", "eval"]) == 0
    assert capsys.readouterr().err == ""


def test_json_goes_into_a_file_beside_the_tables(run: Any, tmp_path: Path) -> None:
    code, out, _ = run("--proxies", "snip", "--json", "results/snip.json")
    assert code == 0
    assert "snip score: " in out
    assert json.loads((tmp_path / "results" / "snip.json").read_text())["proxy"] == "snip"


def test_an_initialisation_changes_the_weights(run: Any) -> None:
    own, kaiming = (json.loads(run("--init", name, "--json", "-")[1])["value"] for name in ("own", "kaiming"))
    assert own != kaiming
    code, _, err = run("--init", "lecun")
    assert (code, "--init: init must be one of" in err) == (2, True)


def test_threads_are_those_that_were_asked_for_and_only_then(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before, seen = torch.get_num_threads(), []

    def cnn() -> torch.nn.Module:
        seen.append(torch.get_num_threads())
        return user_networks.cnn()

    monkeypatch.setattr("support.user_networks.threaded", cnn, raising=False)
    assert main(["score", "support.user_networks:threaded", "--image-size", "8", "--threads", str(before + 1)]) == 0
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


def test_a_loss_of_the_users_own(run: Any, tmp_path: Path) -> None:
    (tmp_path / "own_loss.py").write_text("def halved(outputs, targets):\n    return outputs.logsumexp(1) / 2\n")
    given = ((), ("--loss-fn", "own_loss:halved"))  # as stored commands say
    plain, own = (json.loads(run("--proxies", "snip", "--json", "-", *loss)[1])["value"] for loss in given)
    assert plain != own
    code, _, err = run("--loss", "own_loss:missing")
    assert (code, "--loss: own_loss:missing" in err) == (2, True)


@pytest.mark.parametrize("task", ["multi_label", "regression"])
def test_a_task_of_a_network_of_ones_own(run: Any, task: str) -> None:
    code, out, _ = run("--proxies", "grad_norm", "--task", task)
    assert code == 0 and "; targets: " in out
    code, _, err = run("--proxies", "grad_norm", "--task", "segmentation")
    assert code == 2
    assert "--task: the task 'segmentation' wants outputs (C, 8, 8) for each image; the networks give (10,)" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--proxies", "libra"), "--proxies: libra is for networks of a space"),
        (("--layers", "auto"), "--layers: auto is for networks of a space"),
        (("--checkpoint", "x.pth"), "--checkpoint is for networks of a space"),
        (("--data", "nowhere"), "--data: "),
    ],
)
def test_a_mistake_names_its_option(run: Any, options: tuple[str, ...], words: str) -> None:
    code, out, err = run(*options)
    assert (code, out) == (2, "")
    assert words in err


def test_a_network_of_a_library_is_scored_as_in_python(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    timm = library("timm")
    refuse_network(monkeypatch)
    given = ["--image-size", "32", "--num-classes", "10", "--data", "digits", "--batch-size", "8", "--seed", "2"]
    assert main(["score", "timm:vit_tiny_patch16_224", *given, "--pattern-samples", "8", "--json", "-"]) == 0
    torch.manual_seed(2)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=10, img_size=32)
    batch = data.load("digits", batch_size=8, image_size=32, seed=2).batch
    assert json.loads(capsys.readouterr().out)["value"] == score(model, batch, pattern_samples=8, seed=2).value


def test_a_network_that_takes_tokens_is_given_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library("torchvision")  # transformers imports it where it is
    transformers = library("transformers")
    refuse_network(monkeypatch)
    monkeypatch.chdir(tmp_path)
    small = {"n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 40, "n_positions": 8}
    content = {**small, "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
    (tmp_path / "config.json").write_text(json.dumps(content))
    command = ["score", "hf:config.json", "--batch-size", "8", "--pattern-samples", "8"]
    assert main([*command, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**small))
    batch = TokenInputs(40, 8, per_token=True).draw(8, 40)
    assert found["value"] == score(model, batch, pattern_samples=8).value
    assert found["data"] == "random tokens, 8 rows of 8, seed 0"
    for given, words in (
        (["--data", "digits"], "--data: hf:config.json takes tokens, which are drawn at random here"),
        (["--image-size", "8"], "no images"),
    ):
        assert main([*command, *given]) == 2
        assert words in capsys.readouterr().err


BERT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}


@pytest.mark.parametrize(
    ("content", "masked"),
    [
        ({"model_type": "gpt2", "vocab_size": 256, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 10}, False),
        ({"model_type": "bert", "vocab_size": 257, **BERT, "architectures": ["BertForMaskedLM"]}, True),
    ],
)
def test_a_language_model_with_the_bytes_in_its_vocabulary_is_given_texts(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    content: dict[str, Any],
    masked: bool,
) -> None:
    library("torchvision")
    library("transformers")
    refuse_network(monkeypatch)
    monkeypatch.chdir(tmp_path)
    content = {"architectures": ["GPT2LMHeadModel"], **content}
    (tmp_path / "config.json").write_text(json.dumps(content))
    command = ["score", "hf:config.json", "--batch-size", "4", "--proxies", "zico", "--length", "9", "--json", "-"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    drawn = data.load_text("alice", batch_size=4, length=9, masked=masked)
    assert found["data"] == drawn.description
    model = named_network("hf:config.json").model
    assert found["value"] == score(model, drawn.batch, proxy="zico", loss_fn=TokenLoss()).value
    assert main([*command, "--data", "synthetic"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == "random tokens, 4 rows of 9, seed 0"
    (tmp_path / "config.json").write_text(json.dumps({**content, "vocab_size": content["vocab_size"] - 1}))
    assert main(command) == 0  # one token too few
    assert json.loads(capsys.readouterr().out)["data"] == "random tokens, 4 rows of 9, seed 0"


def test_labels_fit_the_classes_of_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    library("torchvision")
    command = ["score", "torchvision:squeezenet1_1", "--image-size", "32", "--batch-size", "8", "--data", "digits"]
    assert main([*command, "--num-classes", "3"]) == 2
    assert "has 10 classes, and the networks tell only 3 apart" in capsys.readouterr().err
    assert main([*command, "--checkpoint", "x.pth"]) == 2
    assert "--checkpoint is for networks of a space" in capsys.readouterr().err
