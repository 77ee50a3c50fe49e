# The system of the backend `nixos`: the operator's own, with a rendered generation as a part of it.
{
  # The generation's store path.
  generation,
  # Where the operator's system is described: the arguments of base.nix.
  source,
}:
let
  base = import ./base.nix source;
  module = import ./generation.nix { generation = builtins.storePath generation; };
in
(base.extendModules { modules = [ module ]; }).config.system.build.toplevel
