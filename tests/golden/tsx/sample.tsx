import React, { useEffect, useState } from "react";
import { Line } from "./line";

type Props = {
  lines: Line[];
  onRemove?: (sku: string) => void;
};

/** Shows the cart. */
export const Cart: React.FC<Props> = ({ lines, onRemove }: Props) => {
  const [open, setOpen] = useState<boolean>(false);

  useEffect(() => {
    if (lines.length === 0) {
      setOpen(false);
    }
  }, [lines]);

  return (
    <section className="cart">
      <button onClick={() => setOpen(!open)}>{open ? "Hide" : "Show"}</button>
      {open && lines.map((line) => <CartLine key={line.sku} line={line} onRemove={onRemove} />)}
    </section>
  );
};

interface LineProps {
  line: Line;
}

export function CartLine({ line }: LineProps): JSX.Element {
  return <li>{line.sku}</li>;
}

export default class Page extends React.Component<Props, { count: number }> {
  state = { count: 0 };

  increment = (): void => {
    this.setState(({ count }) => ({ count: count + 1 }));
  };

  render() {
    return <Cart lines={this.props.lines} />;
  }
}
