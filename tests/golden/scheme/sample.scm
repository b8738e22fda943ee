;; Count the till of a small shop.

(define-module (shop till)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:export (till-total open-till))

(define currency "EUR")

;; One line of a receipt.
(define-record-type <line>
  (make-line name price)
  line?
  (name line-name)
  (price line-price))

(define-class <drawer> (<object>)
  (coins #:init-value '()))

;;; Prices are whole cents.
(define (till-total lines . discounts)
  (let loop ((rest lines) (sum 0))
    (if (or (null? rest) (and (pair? rest) (not (line? (car rest)))))
        (apply - sum discounts)
        (loop (cdr rest) (+ sum (line-price (car rest)))))))

(define* (open-till drawer #:optional (coins '()) #:key quiet)
  "Open DRAWER and put COINS into it."
  (define (remember! coin)
    (set! coins (cons coin coins)))
  (cond
   ((null? coins) 'empty)
   ((string=? currency "EUR") (for-each remember! coins))
   (else => display)))

(define twice (lambda (price) (* 2 price)))

(define next-number
  (let ((number 0))
    (lambda ()
      (set! number (+ number 1))
      number)))

(define ((discount percent) price)
  (- price (/ (* price percent) 100)))

(define-syntax with-open-till
  (syntax-rules ()
    ((_ drawer body ...)
     (begin (open-till drawer) body ...))))

(define-method (close-till (drawer <drawer>))
  (case currency
    ((EUR) 1)
    ((USD) 2)
    (else 3)))

#;(define (not-a-function x) x)

#| A form of data holds no definitions. |#
(define templates
  '((define (not-a-function x)
      x)))
