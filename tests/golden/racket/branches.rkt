#lang racket
(define (f a b)
  (if (or (and a b) a)
      (for ([x y])
        (while b (g)))
      (if b (g) (h))))
