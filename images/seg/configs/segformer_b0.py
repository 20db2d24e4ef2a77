# The benchmark's `segformer_b0`: SegFormer with MiT-B0 on Cityscapes, 512x1024 crops, two images
# per GPU.
#
# The guide's own `mmseg_benchmark_configs` were never seen in public. mmsegmentation has SegFormer
# for ADE20K only at the guide's commit, so this joins its model with its Cityscapes data; the
# optimizer and the learning rate are those of its ADE20K configuration. The head has SyncBN
# (`tools/train.py` makes BN of it where there is one process). Everything else (iterations, log
# interval, images and workers per GPU) comes from the command line, as in the guide.
_base_ = [
    "../configs/_base_/models/segformer_mit-b0.py",
    "../configs/_base_/datasets/cityscapes.py",
    "../configs/_base_/default_runtime.py",
    "../configs/_base_/schedules/schedule_160k.py",
]

# ADE20K's configuration loads ImageNet weights, this one none. They change losses, not speed.
model = dict(decode_head=dict(num_classes=19))

optimizer = dict(
    _delete_=True,
    type="AdamW",
    lr=0.00006,
    betas=(0.9, 0.999),
    weight_decay=0.01,
    paramwise_cfg=dict(
        custom_keys={
            "pos_block": dict(decay_mult=0.0),
            "norm": dict(decay_mult=0.0),
            "head": dict(lr_mult=10.0),
        }
    ),
)

lr_config = dict(
    _delete_=True,
    policy="poly",
    warmup="linear",
    warmup_iters=1500,
    warmup_ratio=1e-6,
    power=1.0,
    min_lr=0.0,
    by_epoch=False,
)

data = dict(samples_per_gpu=2, workers_per_gpu=5)
