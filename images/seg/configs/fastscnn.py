# The benchmark's `fastscnn`: Fast-SCNN on Cityscapes, 512x1024 crops, two images per GPU.
#
# The guide's own `mmseg_benchmark_configs` were never seen in public; this is the stock
# configuration of mmsegmentation, which has SyncBN (`tools/train.py` makes BN of it where there is
# one process). Everything else (iterations, log interval, images and workers per GPU) comes from
# the command line, as in the guide.
_base_ = "../configs/fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py"

data = dict(samples_per_gpu=2, workers_per_gpu=5)
