subroutine f(a, b)
  logical :: a, b
  if (a .and. b .or. a) then
    do i = 1, 2
      do while (b)
      end do
    end do
  else if (b) then
    call g()
  else
    call h()
  end if
end subroutine f
