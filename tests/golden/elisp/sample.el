;;; till.el --- Count the till of a small shop  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: MIT

;;; Code:

(require 'cl-lib)
(require 'seq)

(defcustom till-currency "EUR"
  "Currency in which amounts are shown."
  :type 'string
  :group 'till)

(defvar till--log nil "Entries of the day, newest first.")

(cl-defstruct (till-line (:constructor till-line-create))
  "One line of a receipt."
  name price (count 1))

(defclass till-drawer ()
  ((coins :initarg :coins :initform nil))
  :documentation "A drawer that holds \"coins\".")

(define-error 'till-empty "The till is empty")

;; Prices are whole cents.
(defun till-total (lines &optional discount)
  (- (cl-loop for line in lines sum (till-line-price line)) (or discount 0)))

(defsubst till-empty-p (till)
  "Tell whether TILL holds nothing."
  (null till))

(defun till-open (drawer &rest coins)
  "Open DRAWER and put COINS into it.

Return the drawer; signal `till-empty' when there are none."
  (interactive "sDrawer: ")
  (declare (indent 1))
  (cond ((null coins) (signal 'till-empty nil))
        ((and (listp coins) (till-empty-p till--log)) (push (car coins) till--log))
        (t (condition-case err
               (mapc (lambda (coin) (when (> coin 0) (push coin till--log))) coins)
             (wrong-type-argument (message "%s" err)))))
  drawer)

(cl-defun till-receipt (lines &key (title "Receipt") (width 40))
  "Print LINES under TITLE, WIDTH characters wide."
  (pcase width
    (40 (princ title))
    ('nil nil)
    (_ (princ lines))))

(cl-defgeneric till-close (place)
  "Close PLACE.")

(cl-defmethod till-close ((place till-drawer))
  "Close a drawer."
  (oset place coins nil))

(cl-defmethod till-close :after ((_place till-drawer) &optional quietly)
  (unless quietly (message "closed")))

(defmacro till-with-open (drawer &rest body)
  "Run BODY with DRAWER open."
  (declare (indent 1) (debug t))
  `(progn
     (till-open ,drawer)
     (defun till--inside () ,@body)
     ,@body))

(define-minor-mode till-mode
  "Show the till in the mode line."
  :lighter " Till"
  (setq till--log nil))

(define-derived-mode till-list-mode special-mode "Tills"
  "Mode for the list of tills."
  (setq truncate-lines t))

(eval-when-compile
  (defun till--compile-time (form)
    "Return FORM as it was."
    form))

(defalias 'till-sum #'till-total)

(ert-deftest till-total-of-nothing ()
  "Nothing costs nothing."
  (should (= (till-total nil) 0)))

(provide 'till)
;;; till.el ends here
