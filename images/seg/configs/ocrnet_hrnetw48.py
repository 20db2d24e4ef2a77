# The benchmark's `ocrnet_hrnetw48`: OCRNet with HRNet-W48 on Cityscapes, 512x1024 crops, two
# images per GPU.
#
# The guide's own `mmseg_benchmark_configs` were never seen in public; this is the stock
# configuration of mmsegmentation 0.17.0 with what the guide fixes. Everything else (iterations,
# log interval, images and workers per GPU) comes from the command line, as in the guide.
_base_ = "../configs/ocrnet/ocrnet_hr48_512x1024_160k_cityscapes.py"

# BN in place of SyncBN: see fastscnn.py.
norm_cfg = dict(type="BN", requires_grad=True)

# mmcv replaces a list as a whole: to change `norm_cfg` in it, both heads are spelled out.
in_channels = [48, 96, 192, 384]
model = dict(
    # The stock configuration downloads ImageNet weights. They change losses, not speed.
    pretrained=None,
    backbone=dict(norm_cfg=norm_cfg),
    decode_head=[
        dict(
            type="FCNHead",
            in_channels=in_channels,
            channels=sum(in_channels),
            input_transform="resize_concat",
            in_index=(0, 1, 2, 3),
            kernel_size=1,
            num_convs=1,
            norm_cfg=norm_cfg,
            concat_input=False,
            dropout_ratio=-1,
            num_classes=19,
            align_corners=False,
            loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=0.4),
        ),
        dict(
            type="OCRHead",
            in_channels=in_channels,
            channels=512,
            ocr_channels=256,
            input_transform="resize_concat",
            in_index=(0, 1, 2, 3),
            norm_cfg=norm_cfg,
            dropout_ratio=-1,
            num_classes=19,
            align_corners=False,
            loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
        ),
    ],
)

data = dict(samples_per_gpu=2, workers_per_gpu=5)
