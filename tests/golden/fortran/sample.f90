!> Lines and tills of a small shop.
module shop
  use, intrinsic :: iso_fortran_env, only: real64
  implicit none
  private
  public :: till, total

  integer, parameter :: max_lines = 40

  !> A drawer with coins.
  type, extends(place) :: till
    integer :: coins
    real(real64), allocatable :: notes(:)
  contains
    procedure :: open => open_till
    procedure, public :: shut
  end type till

  !> Sum of prices.
  interface total
    module procedure total_of_lines
  end interface total

  interface operator(+)
    module procedure add_tills
  end interface

  abstract interface
    subroutine on_open(amount)
      integer, intent(in) :: amount
    end subroutine on_open
  end interface

contains

  !> Open the till and put coins into it.
  !! Does nothing when it is locked.
  subroutine open_till(self, coins, quiet)
    class(till), intent(inout) :: self
    integer, intent(in) :: coins
    logical, intent(in), optional :: quiet
    if (present(quiet) .and. coins > 0) return
    select case (coins)
    case (0)
      print *, "empty"
    case (1:9)
      self%coins = self%coins + coins
    case default
      self%coins = max_lines
    end select
  end subroutine open_till

  subroutine shut(self)
    !! Shut the till, whatever is in it.
    class(till), intent(inout) :: self
    self%coins = 0
  end subroutine shut

  ! Prices are whole cents.
  pure real(real64) function total_of_lines(prices) result(sum_of)
    real(real64), intent(in) :: prices(:)
    sum_of = sum(prices)
  end function total_of_lines

  recursive function countdown(from) result(steps)
    integer, intent(in) :: from
    integer :: steps
    steps = 0
    if (from > 0) steps = 1 + countdown(from - 1)
  end function countdown

end module shop

submodule (shop) details
contains
  module procedure add_tills
    c%coins = a%coins + b%coins
  end procedure add_tills
end submodule details

program main
  use shop
  implicit none
  type(till) :: drawer
  call drawer%open(3)
contains
  subroutine say(text)
    character(len=*), intent(in) :: text
    print *, text
  end subroutine say
end program main
