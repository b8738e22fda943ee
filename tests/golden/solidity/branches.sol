function f(bool a, bool b) {
    if (a && b || a) { for (;;) { while (b) {} } } else if (b) { g(); } else { h(); }
}
