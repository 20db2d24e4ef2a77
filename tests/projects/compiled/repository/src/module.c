#include <Python.h>

extern const char *where(void);
extern long twice(long);

static PyObject *vec_where(PyObject *self, PyObject *none)
{
    return PyUnicode_FromString(where());
}

static PyObject *vec_twice(PyObject *self, PyObject *number)
{
    return PyLong_FromLong(twice(PyLong_AsLong(number)));
}

static PyMethodDef methods[] = {
    {"where", vec_where, METH_NOARGS, "Says where and when it was compiled."},
    {"twice", vec_twice, METH_O, "Doubles a number."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "vec", NULL, -1, methods};

PyMODINIT_FUNC PyInit_vec(void)
{
    return PyModule_Create(&module);
}
