package body p is
  procedure f(a, b : boolean) is
  begin
    if (a and b) or a then
      for i in 0 to 3 loop
        while b loop
          null;
        end loop;
      end loop;
    elsif b then
      g;
    else
      h;
    end if;
  end procedure;
end package body;
