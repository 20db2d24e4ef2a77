# `segformer_b0` for a machine without a GPU: the benchmark's own configuration with small crops.
_base_ = "/home/mmsegmentation/mmseg_benchmark_configs/segformer_b0.py"

# A sixteenth of the guide's crop, from images of a sixteenth of Cityscapes' size.
img_norm_cfg = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
)
crop_size = (128, 256)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="Resize", img_scale=(512, 256), ratio_range=(0.5, 2.0)),
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="Normalize", **img_norm_cfg),
    dict(type="Pad", size=crop_size, pad_val=0, seg_pad_val=255),
    dict(type="DefaultFormatBundle"),
    dict(type="Collect", keys=["img", "gt_semantic_seg"]),
]
data = dict(train=dict(pipeline=train_pipeline))

# Data-parallel processes meet over gloo; the default, NCCL, needs GPUs.
dist_params = dict(backend="gloo")

# Nobody reads the weights of a smoke run, and those of the largest model are 0.6 GB.
checkpoint_config = dict(save_last=False)
