# The module evaluation suite: each case of cases/ is a whole NixOS, evaluated with services.osmoda as the case says. What
# comes of it is told as data; `cargo xtask nixos-eval` judges it.
#
#   nixpkgs   a tree of nixpkgs, or of its folders nixos/ and lib/ alone
#   binaries  a folder with the programs that a build leaves in $out/bin
#   package   osModa itself, in the place of one made of those
{
  nixpkgs,
  system ? "x86_64-linux",
  binaries ? null,
  pkgs ? import ./pkgs.nix { inherit nixpkgs system; },
  package ? pkgs.callPackage ./package.nix { inherit binaries; },
}:

let
  inherit (pkgs) lib;
  isWhole = import ./is-whole.nix nixpkgs;

  machine =
    if isWhole then
      {
        boot.isContainer = true;
        system.stateVersion = lib.trivial.release;
      }
    else
      ../nixos/machine.nix;

  evaluate =
    modules:
    import (nixpkgs + "/nixos/lib/eval-config.nix") {
      inherit lib pkgs;
      system = null;
      modules = [
        ../../modules
        machine
        { nixpkgs.hostPlatform = system; }
      ]
      ++ modules;
    };

  of =
    case:
    evaluate [
      {
        services.osmoda = {
          enable = lib.mkDefault true;
          package = lib.mkIf (!case.bare or false) (lib.mkDefault package);
        };
      }
      case.module
    ];

  isOurs = lib.hasPrefix "osmoda";

  portsOf = config: {
    inherit (config.networking.firewall)
      allowedTCPPorts
      allowedTCPPortRanges
      allowedUDPPorts
      allowedUDPPortRanges
      trustedInterfaces
      ;
  };

  # Of a system that its assertions let pass.
  tell =
    config:
    let
      etc = lib.filterAttrs (name: _: lib.hasPrefix "osmoda/" name) config.environment.etc;
      packagesOf = name: lib.filter (view: lib.hasPrefix name (view.name or "")) config.systemd.packages;
      views = packagesOf "osmoda-units";
      unitsOf = view: builtins.readDir "${view}/lib/systemd/system";
      desired = etc."osmoda/desired.d".source;
    in
    {
      etc = lib.attrNames etc;
      agentd =
        if etc ? "osmoda/agentd.yaml" then builtins.readFile etc."osmoda/agentd.yaml".source else null;
      documents = lib.optionalAttrs (etc ? "osmoda/desired.d") (
        lib.mapAttrs (name: kind: {
          inherit kind;
          text = builtins.readFile "${desired}/${name}";
        }) (builtins.readDir desired)
      );
      # As the package has them...
      units = lib.listToAttrs (
        lib.concatMap (
          view:
          map (name: {
            inherit name;
            value = builtins.readFile "${view}/lib/systemd/system/${name}";
          }) (lib.attrNames (unitsOf view))
        ) views
      );
      # ...and what NixOS puts on top of them.
      dropIns = lib.mapAttrs (_: unit: { inherit (unit) text wantedBy overrideStrategy; }) (
        lib.filterAttrs (name: _: isOurs name) config.systemd.units
      );
      closures = map (
        package: builtins.readFile "${package}/lib/systemd/system/osmoda-keyd.service.d/closure.conf"
      ) (packagesOf "osmoda-closure");
      generators = lib.filterAttrs (name: _: isOurs name) config.systemd.generators;
      activation = config.system.activationScripts.osmoda or null;
      users = lib.filter isOurs (lib.attrNames config.users.users);
      groups = lib.filterAttrs (name: _: isOurs name) (
        lib.mapAttrs (_: group: group.members) config.users.groups
      );
      programs = lib.length (
        lib.filter (p: p == config.services.osmoda.package) config.environment.systemPackages
      );
      ports = portsOf config;
      package = "${config.services.osmoda.package}";
    };

  judged =
    case:
    let
      inherit (of case) config;
      refused = map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
    in
    {
      expected = removeAttrs case [
        "bare"
        "module"
      ];
      inherit refused;
      told = if refused == [ ] then tell config else null;
      folder = config.environment.etc."osmoda/desired.d".source or null;
    };

  files = lib.filterAttrs (name: _: lib.hasSuffix ".nix" name) (builtins.readDir ./cases);
  all = lib.foldl' (
    before: file:
    let
      cases = import (./cases + "/${file}") { inherit lib package pkgs; };
      twice = lib.intersectLists (lib.attrNames before) (lib.attrNames cases);
    in
    if twice == [ ] then before // cases else throw "two cases have the name ${lib.head twice}"
  ) { } (lib.attrNames files);
  # A value of the wrong type ends an evaluation, and a document that osModa refuses a build, and only their standard error
  # tells why: a process for each of these.
  endings = lib.filterAttrs (_: case: case ? ends) all;
  breaking = lib.filterAttrs (_: case: case ? breaks) all;
  plain = removeAttrs all (lib.attrNames endings ++ lib.attrNames breaking);
in
{
  # For a check in Nix alone: what assertions said, and the folder of documents that osModa itself judges.
  outcomes = lib.mapAttrs (_: case: removeAttrs (judged case) [ "told" ]) plain;

  # In one process: everything else.
  all = {
    cases = lib.mapAttrs (_: case: removeAttrs (judged case) [ "folder" ]) plain;
    ends = lib.mapAttrs (_: case: case.ends) endings;
    breaks = lib.mapAttrs (_: case: case.breaks) breaking;
    # What a machine without osModa exposes.
    ports = portsOf (evaluate [ ]).config;
    package = "${package}";
    programs = lib.attrNames (builtins.readDir "${package}/lib/osmoda");
    options =
      map
        (option: {
          inherit (option) name type;
          description = option.description.text or option.description or "";
          default = option.default.text or null;
          example = option.example.text or null;
        })
        (
          lib.filter (option: option.visible && !option.internal) (
            lib.optionAttrSetToDocList (evaluate [ ]).options.services.osmoda
          )
        );
  };

  ended = lib.mapAttrs (_: case: removeAttrs (judged case) [ "folder" ]) endings;
  # The folder of documents, which is a part of the system.
  broken = lib.mapAttrs (
    _: case:
    let
      inherit (judged case) refused folder;
    in
    if refused == [ ] then folder else throw (toString refused)
  ) breaking;

  project = import ./project.nix {
    inherit
      isWhole
      nixpkgs
      package
      pkgs
      system
      ;
  };
}
