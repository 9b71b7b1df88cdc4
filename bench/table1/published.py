"""What others published for the 19 columns of Table 1 of the L-SWAG paper, in its order."""

from __future__ import annotations

PLACES = (
    "nb201-cifar10", "nb201-cifar100", "nb201-imagenet16", "nb101", "darts",
    "micro-autoencoder", "micro-room-drawn", "micro-object", "micro-scene",
    "micro-jigsaw", "micro-normal-drawn", "micro-segments-drawn",
    "macro-autoencoder", "macro-room-drawn", "macro-object", "macro-scene",
    "macro-jigsaw", "macro-normal-drawn", "macro-segments-drawn",
)  # fmt: skip
"""The names of the columns."""
CELLS = PLACES[:3]
_ABLATED = (*CELLS, "micro-autoencoder", "micro-jigsaw", "micro-normal-drawn",
            "macro-autoencoder", "macro-jigsaw", "macro-normal-drawn")  # fmt: skip

LIBRA = "libra"
Row = dict[str, float]


def _row(places: tuple[str, ...], text: str) -> Row:
    return dict(zip(places, map(float, text.split()), strict=True))


# Spearman of Table 1, on 1,000 networks.
_TABLE_1 = {
    "te_nas": ".70 .67 .64 .12 .37 -.41 .51 .37 .25 .13 .10 .34 -.55 .05 .13 .28 .65 .61 .03",
    "t_cet": ".77 .80 .81 .23 .42 .31 .34 .49 .70 .54 .46 .64 .27 .23 .49 .63 .44 .44 .59",
    "az_nas": ".91 .90 .89 .54 .70 .31 .53 .58 .79 .41 .60 .72 .52 .65 .90 .82 .77 .85 .77",
    LIBRA: ".89 .90 .87 .77 .74 .45 .57 .61 .79 .60 .76 .87 .83 .64 .92 .91 .82 .85 .83",
}
# Table 3 has L-SWAG and, as its parts, the mean kept on all layers (ZiCo) and the patterns alone (SWAP).
_TABLE_3 = {
    "lswag": ".79 .83 .80 .31 .58 .75 .79 .78 .84",
    "zico": ".75 .80 .78 .16 .53 .68 .19 .05 .53",
    "swap": ".71 .75 .71 .01 .38 .53 .71 .74 .79",
}
# ZiCo's Table 1 (all cells of NAS-Bench-201) and Fig. 3 (NAS-Bench-101); xi-GSNR's own paper.
_OTHERS = {
    "params": ".75 .73 .69 .43",
    "flops": ".73 .71 .67 .44",
    "synflow": ".73 .76 .75 .35",
    "snip": ".63 .63 .58 -.17",
    "grad_norm": ".63 .63 .58 -.25",
    "fisher": ".55 .55 .50 -.28",
    "grasp": ".54 .51 .56 .29",
    "zen": ".38 .36 .40 .63",
}
_XI_GSNR = ".85 .84 .79"
_ZICO_NASBENCH101 = 0.63
# The worked example of the supplement.
_EXAMPLE = {"nwot": 0.76, "flops": 0.79}

# Table 5: L-SWAG by interval of layers; row k takes the bins k - 1 and k of ten.
_BY_INTERVAL = """
.720 .752 .760 .665 .568 .310 .294 .423 .596 .465 .620 .510 .720 .030 .890 .745 .780 .700 .650
.670 .710 .723 .690 .564 .200 .440 .530 .711 .580 .750 .590 .660 .631 .700 .830 .720 .800 .810
.711 .750 .760 .702 .565 .180 .410 .490 .680 .520 .740 .700 .730 .630 .590 .780 .680 .840 .800
.720 .754 .763 .684 .554 .190 .390 .470 .670 .510 .740 .704 .640 .629 .620 .800 .680 .740 .810
.690 .730 .743 .687 .549 .240 .420 .468 .690 .540 .730 .690 .580 .628 .670 .810 .690 .610 .740
.720 .751 .759 .680 .554 .170 .390 .480 .680 .520 .720 .695 .620 .628 .690 .870 .710 .670 .740
.720 .751 .760 .690 .550 .110 .390 .470 .670 .510 .630 .690 .530 .625 .540 .750 .730 .630 .710
.655 .690 .710 .685 .540 .060 .420 .490 .690 .530 .530 .690 .550 .625 .590 .760 .630 .630 .660
.717 .749 .757 .682 .540 .080 .380 .460 .660 .500 .510 .750 .520 .627 .600 .760 .700 .550 .710
.724 .760 .764 .694 .547 .000 .280 .413 .640 .450 .627 .520 .000 .020 .630 .769 .740 .000 .540
.710 .740 .750 .651 .550 .320 .330 .480 .680 .520 .680 .700 .700 .627 .860 .780 .735 .770 .780
"""
ALL_LAYERS = "all"
BY_INTERVAL: dict[str, Row] = {
    row: _row(PLACES, line)
    for row, line in zip((*map(str, range(1, 11)), ALL_LAYERS), _BY_INTERVAL.split("\n")[1:-1], strict=True)
}

ACCURACY = "accuracy"
BIAS: dict[str, Row] = {
    name: _row(PLACES, text)
    for name, text in {
        ACCURACY: ".41 .55 .57 .47 .52 .18 .40 .53 .54 .43 .44 .59 .05 .07 .24 .41 .16 .40 .08",
        "lswag": ".23 .24 .24 .19 .32 .00 .08 .15 .19 .17 .15 .21 .02 .16 .18 .22 .10 .21 .11",
        "zico": ".60 .60 .60 .54 .97 .55 .48 .54 .80 .44 .47 .48 .72 .59 .46 .15 .41 .45 .30",
        "swap": ".50 .51 .47 .44 .50 .01 .35 .30 .35 .21 .35 .29 .32 .41 .54 .12 .11 .39 .36",
        "nwot": ".51 .51 .50 .74 .95 .42 .35 .46 .40 .35 .07 .35 .19 .24 .31 .30 .21 .34 .00",
    }.items()
}
"""Table 6: Pearson correlation with the parameters, of the accuracy and of proxies."""


def _collected() -> dict[str, Row]:
    found = {"lswag": dict(BY_INTERVAL[ALL_LAYERS])}
    for rows, places in ((_TABLE_1, PLACES), (_TABLE_3, _ABLATED), (_OTHERS, PLACES[:4])):
        for name, text in rows.items():
            found.setdefault(name, {}).update(_row(places, text))
    found["xi_gsnr"] = _row(CELLS, _XI_GSNR)
    found["zico"]["nb101"] = _ZICO_NASBENCH101
    for name, value in _EXAMPLE.items():
        found.setdefault(name, {})["macro-jigsaw"] = value
    return found


SPEARMAN: dict[str, Row] = _collected()
"""By proxy, or `LIBRA`, and column. L-SWAG is that of Table 3 where that names the column, else the row of all layers
of Table 5."""
