# The bakery's order printer: a package, and a service that runs it.
{ config, lib, pkgs, ... }:

let
  cfg = config.services.orderPrinter;
  inherit (lib) mkIf mkOption types;

  /**
    Arguments of the printer for one queue.
  */
  argumentsFor = name: { port ? 9100, quiet ? false }:
    if quiet && port != 9100 then
      [ "--queue" name "--quiet" ]
    else if port == 9100 || name == "default" then
      [ "--queue" name ]
    else
      [ "--queue" name "--port" (toString port) ];

  package = pkgs.stdenv.mkDerivation {
    pname = "order-printer";
    version = "2.3.0";
    src = ./printer;
    nativeBuildInputs = [ pkgs.pkg-config ];
  };

  paper = import ./paper.nix;
in
{
  imports = [
    ./queues.nix
    ../common
  ];

  options.services.orderPrinter = {
    enable = lib.mkEnableOption "the order printer";

    queues = mkOption {
      type = types.attrsOf types.attrs;
      default = { };
      description = "Queues by name.";
    };

    "retry.after" = mkOption {
      type = types.int;
      default = 30;
      description = ''
        Seconds to wait
        before the next try.
      '';
    };
  };

  config = mkIf cfg.enable {
    systemd.services.order-printer = {
      wantedBy = [ "multi-user.target" ];
      script = ''
        exec ${package}/bin/print-orders
      '';
    };
  };
}
