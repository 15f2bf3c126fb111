"""What the tests of the benchmarks share: the committed tables, and their columns."""

import common

QUALITY, PROPERTIES = ("fid", "precision", "recall"), ("class", "slant", "ink")
COLUMNS = {
    "dcgan": "what seed step seconds images_per_s fid second_fid second_sure machine",
    "baseline": "rung seed seconds images_per_s fid fid_same_way machine",
    "engine": "game what pairs steps_per_block inline_wall_us wall_ratio wall_low wall_high"
    " inline_cpu_us cpu_ratio cpu_low cpu_high machine",
    "gpu": "game precision pairs batch samples_per_second inline_samples_per_second time_ratio low"
    " high machine",
    "speed": "part yardstick pairs ratio low high machine",
    "captions": "wrong seed steps seconds class leaning width stroke kept_class kept_leaning"
    " kept_width kept_stroke fid precision recall spread machine",
    "dcgan_ablation": "variant seed steps seconds fid machine",
    "conditional": "data variant r1 seed steps seconds accuracy fid class_fid precision recall"
    " entropy width "
    + " ".join(f"{what}_{c}" for what in ("accuracy", "fid") for c in range(10))
    + " machine",
    "modes": "data variant games steps seed seconds modes quality reverse_kl machine",
    "infogan": "method seed steps seconds accuracy held_out accuracy_8 held_out_8 bound read"
    " survives fid neighbours slant_0 slant_1 ink_0 ink_1 machine",
    "mutants": "file number line kind before after caught_by machine",
    "overfitting": "images remedy seed steps step seconds train_logit held_logit fake_logit"
    " train_told held_told fid fid_choosing fid_reporting copies centre margin p machine",
    "stacking": "data way seed seconds played fid precision recall coarse_kept steps machine",
    "superresolution": "data charge weight seed steps seconds psnr psnr_of_mean bicubic fid kept"
    " scatter edges machine",
    "stacked": "variant seed steps seconds cpu_seconds modes reverse_kl confidence machine",
    "style": "variant seed steps seconds "
    + " ".join(f"{m}{p}" for p in ("", "_0.8", "_0.6", "_0.4", "_0.2") for m in QUALITY)
    + " "
    + " ".join(f"{name}_{space}" for name in PROPERTIES for space in "zw")
    + " ppl_z ppl_w length length_spread "
    + " ".join(f"{p}_{w}{k}" for w in ("", "to_") for p in PROPERTIES for k in range(1, 6))
    + " machine",
    "tournament": "data loss regulariser factor turns seed steps seconds modes quality"
    " reverse_kl w1 confidence machine",
    "translation": "task way seed steps seconds l1 l1_back cycle kept matched fid spread chroma"
    " colourful style layout machine",
}
SEEDS = ["0", "1", "2"]
SEVERAL_MACHINES = {"stacked", "tournament"}  # measured these; they compare no seconds


def rows(name, **which):
    """The rows of a committed table that have these values, as dictionaries of strings."""
    path = common.FOLDER / f"{name}.csv"
    assert path.exists(), f"no table yet: python benchmarks/{name}.py"
    return [
        row
        for row in common.read_table(path)
        if all(row[key] == value for key, value in which.items())
    ]
