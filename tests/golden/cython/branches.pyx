cdef int f(int a, int b):
    cdef int x
    if a and b or a:
        for x in range(a):
            while b:
                pass
    elif b:
        pass
    else:
        pass
