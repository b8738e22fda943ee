# cython: language_level=3
"""Weights of breads, counted in C."""

cimport cython
from libc.stdlib cimport free, malloc
import numpy as np
cimport numpy as cnp

DEF MOST = 64

cdef extern from "oven.h" nogil:
    """
    #define HOT(x) ((x) > 200)
    """
    ctypedef struct oven_t:
        int heat
        double size[2]

    ctypedef unsigned int slot_t
    oven_t *oven_open(const char *name, int slots) except NULL
    # Closes it, hot or not.
    void oven_close(oven_t *oven)
    int HOT(int heat)

ctypedef double (*weight_of)(int bread, void *context)

ctypedef fused number:
    int
    double

cpdef enum State:
    OPEN = 0
    BAKED = 1

cdef struct Line:
    int bread
    double weight

# The sum of all, without the crust.
@cython.boundscheck(False)
cdef inline double total(double[:, ::1] weights, int n=0, *, bint crust=False) except? -1 nogil:
    cdef Py_ssize_t i, j
    cdef double found = 0
    for i in range(weights.shape[0]):
        if weights[i, 0] > 0 and crust or n:
            found += <double>weights[i, 0]
    return found

cdef int _compare(const void *a,
                  const void *b) noexcept nogil:
    return (<Line *>a).bread - (<Line *>b).bread

def mean(cnp.ndarray[double, ndim=2] weights not None, name: str = "all", **options):
    """The mean weight."""
    cdef:
        int n = len(weights)
        double *copy = <double *>malloc(n * sizeof(double))
    try:
        return total(weights, n) / n
    finally:
        free(copy)

cdef class Oven(Base):
    """One oven."""

    cdef oven_t *handle
    cdef public list breads
    cdef readonly int slots

    def __cinit__(self, str name, int slots=4):
        self.handle = oven_open(name.encode(), slots)
        self.breads = []

    cpdef bake(self, object bread, weight_of weigh=NULL):
        # Only what is open can be baked.
        if bread.state == State.OPEN:
            self.breads.append(bread)

    cdef Line line(self, int at):
        cdef Line found = Line(at, 0.0)
        return found

    property heat:
        """Degrees."""
        def __get__(self):
            return self.handle.heat

cdef int later(int a) except -1

def plain(a, b=(1, 2), *rest) -> int:
    return a if b else 0
