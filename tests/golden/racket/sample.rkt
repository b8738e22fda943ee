#lang racket/base
;; Count the till of a small shop.

(require racket/class
         racket/contract
         (for-syntax racket/base))

(provide till-total
         (struct-out line))

(define currency "EUR")

;; One line of a receipt.
(struct line (name price [count #:auto])
  #:transparent)

(define-struct drawer (coins))

;; till-total : (listof line) -> exact-integer
;; Prices are whole cents.
(define (till-total lines #:discount [discount 0] . fees)
  (define sum
    (for/sum ([one (in-list lines)])
      (line-price one)))
  (cond
    [(and (zero? discount) (null? fees)) sum]
    [(negative? sum) (error 'till-total "a negative sum: ~a" sum)]
    [else (- (apply + sum fees) discount)]))

(define/contract (half price)
  (-> exact-integer? exact-integer?)
  (quotient price 2))

(define twice (λ (price) (* 2 price)))

(define ((discount percent) price)
  (if (> percent 0)
      (- price (/ (* price percent) 100))
      price))

(define-syntax-rule (with-open-till till body ...)
  (begin
    (send till open)
    body ...))

(define-syntax (define-price stx)
  (syntax-case stx ()
    [(_ name value)
     #'(define (name) value)]))

(define closeable<%>
  (interface () close))

;; A till that counts what is put into it.
(define till%
  (class* object% (closeable<%>)
    (init-field [coins '()])
    (super-new)

    ;; Open the till.
    (define/public (open [quiet? #f])
      (unless quiet?
        (displayln "open")))

    (define/public (close)
      (set! coins '()))

    (define/private (count-coins)
      (length coins))))

(module+ test
  (define (check-total)
    (till-total '())))

#;(define (not-a-function x)
    x)
