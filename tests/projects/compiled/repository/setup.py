import glob

from setuptools import Extension, setup

# In whatever order the file system lists them: that is what a build has to bear.
setup(name="vec", version="1.0", ext_modules=[Extension("vec", glob.glob("src/*.c"))])
