# The benchmark's `fastscnn`: Fast-SCNN on Cityscapes, 512x1024 crops, two images per GPU.
#
# The guide's own `mmseg_benchmark_configs` were never seen in public; this is the stock
# configuration of mmsegmentation 0.17.0 with what the guide fixes. Everything else (iterations,
# log interval, images and workers per GPU) comes from the command line, as in the guide.
_base_ = "../configs/fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py"

# The stock configuration has SyncBN, which needs a process group. The guide runs this file on
# one GPU without a launcher too, and `tools/train.py` of 0.17.0 does not turn SyncBN into BN by
# itself, so the benchmark cannot have used it.
norm_cfg = dict(type="BN", requires_grad=True, momentum=0.01)

# mmcv replaces a list as a whole: to change `norm_cfg` in it, both heads are spelled out.
model = dict(
    backbone=dict(norm_cfg=norm_cfg),
    decode_head=dict(norm_cfg=norm_cfg),
    auxiliary_head=[
        dict(
            type="FCNHead",
            in_channels=in_channels,
            channels=32,
            num_convs=1,
            num_classes=19,
            in_index=in_index,
            norm_cfg=norm_cfg,
            concat_input=False,
            align_corners=False,
            loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=0.4),
        )
        for in_channels, in_index in ((128, -2), (64, -3))
    ],
)

data = dict(samples_per_gpu=2, workers_per_gpu=5)
