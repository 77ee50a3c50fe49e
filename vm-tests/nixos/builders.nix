# Derivations without nixpkgs' stdenv: /bin/bash of Debian runs setup.sh, which knows the words that NixOS's modules use.
{ lib, system }:

let
  inherit (lib.strings) sanitizeDerivationName;

  # Attributes that are no words of a builder's environment. They go by name: to look at a value would be to evaluate it,
  # and some systems are defined by themselves.
  notForNix = [
    "passthru"
    "meta"
    "version"
    "outputs"
    "override"
    "overrideAttrs"
    "pos"
    "strictDeps"
    "env"
    "dontUnpack"
    "doCheck"
  ];

  setup = builtins.path {
    path = ./setup.sh;
    name = "setup.sh";
  };

  # What code expects of any package. It has one output, which answers to the names of all.
  decorate =
    drv: attributes:
    let
      package =
        drv
        // {
          inherit (package.meta) outputsToInstall;
          meta = {
            mainProgram = package.pname or (lib.getName drv);
            outputsToInstall = [ "out" ];
            available = true;
            priority = 5;
          }
          // (attributes.meta or { });
          outputs = [ "out" ];
          override = _: package;
          passthru = { };
        }
        // lib.genAttrs [
          "out"
          "bin"
          "lib"
          "dev"
          "man"
          "doc"
          "info"
          "static"
          "data"
          "terminfo"
        ] (_: package)
        // {
          overrideAttrs = _: package;
        }
        // removeAttrs attributes [ "meta" ];
    in
    package;

  mkDerivation =
    given:
    let
      attributes = if builtins.isFunction given then lib.fix given else given;
      name = attributes.name or "${attributes.pname}-${attributes.version or "0"}";
      words = removeAttrs attributes notForNix // (attributes.env or { });
      # Long scripts go by file: the kernel limits one word of an environment to 128 KiB.
      asFile = [ "buildCommand" ] ++ lib.toList (attributes.passAsFile or [ ]);
      drv = derivation (
        words
        // {
          inherit system;
          __ignoreNulls = true;
          name = sanitizeDerivationName name;
          builder = "/bin/bash";
          args = [ setup ];
          passAsFile = lib.intersectLists asFile (lib.attrNames words);
        }
        // lib.optionalAttrs (attributes ? version) { inherit (attributes) version; }
      );
    in
    decorate drv (
      {
        inherit name;
        # `old: { }` or `final: old: { }`; what is built here has no other final attributes than its own.
        overrideAttrs =
          change:
          let
            first = lib.toFunction change attributes;
            new = if builtins.isFunction first then first attributes else first;
          in
          mkDerivation (attributes // new);
      }
      // lib.optionalAttrs (attributes ? pname) { inherit (attributes) pname; }
      // lib.optionalAttrs (attributes ? version) { inherit (attributes) version; }
      // lib.optionalAttrs (attributes ? meta) { inherit (attributes) meta; }
      // (attributes.passthru or { })
      // {
        passthru = attributes.passthru or { };
      }
    );

  runCommand =
    name: attributes: buildCommand:
    mkDerivation (attributes // { inherit name buildCommand; });

  # The text comes by file, so that it may be anything.
  writeTextFile =
    {
      name,
      text,
      executable ? false,
      destination ? "",
      checkPhase ? "",
      meta ? { },
      passthru ? { },
      derivationArgs ? { },
      ...
    }:
    runCommand name
      (
        {
          inherit
            text
            destination
            meta
            passthru
            ;
          passAsFile = [ "text" ];
          mode = if executable then "0755" else "0644";
        }
        // derivationArgs
      )
      ''
        target=$out$destination
        mkdir -p "$(dirname "$target")"
        install -m "$mode" "$textPath" "$target"
        ${checkPhase}
      '';

  writeText = name: text: writeTextFile { inherit name text; };

  writeScript =
    name: text:
    writeTextFile {
      inherit name text;
      executable = true;
    };

  shebang = "#!/bin/bash";

  writeShellScript = name: text: writeScript name "${shebang}\n${text}\n";

  symlinkJoin =
    {
      name ? "${attributes.pname}-${attributes.version}",
      paths,
      postBuild ? "",
      ...
    }@attributes:
    runCommand name
      (
        removeAttrs attributes [
          "name"
          "paths"
          "postBuild"
        ]
        // {
          inherit paths;
          pathsToLink = attributes.pathsToLink or [ "/" ];
          ignoreCollisions = true;
        }
      )
      ''
        ${linkTrees}
        ${postBuild}
      '';

  linkTrees = "perl ${./link.pl} trees $pathsToLink -- $paths";

  # The one of highest priority (the lowest number) comes first, as in nixpkgs.
  buildEnv =
    {
      name,
      paths,
      pathsToLink ? [ "/" ],
      postBuild ? "",
      passthru ? { },
      meta ? { },
      ...
    }:
    runCommand name
      {
        inherit pathsToLink passthru meta;
        paths = lib.sort (a: b: (a.meta.priority or 5) < (b.meta.priority or 5)) (
          lib.filter (path: !(path.isAbsent or false)) paths
        );
      }
      ''
        ${linkTrees}
        ${postBuild}
      '';

  linkFarm =
    name: entries:
    let
      list =
        if builtins.isAttrs entries then
          lib.mapAttrsToList (name: path: { inherit name path; }) entries
        else
          entries;
    in
    runCommand name { } ''
      mkdir -p "$out"
      cd "$out"
      ${lib.concatMapStrings (entry: ''
        mkdir -p "$(dirname ${lib.escapeShellArg entry.name})"
        ln -s ${lib.escapeShellArg "${entry.path}"} ${lib.escapeShellArg entry.name}
      '') list}
    '';

  replaceVarsWith =
    {
      src,
      replacements,
      isExecutable ? false,
      dir ? null,
      name ? baseNameOf (toString src),
      ...
    }:
    runCommand name { inherit src; } ''
      target=$out${lib.optionalString (dir != null) "/${dir}/${name}"}
      mkdir -p "$(dirname "$target")"
      substitute "$src" "$target" ${
        lib.concatStringsSep " " (
          lib.mapAttrsToList (
            name: value: if value == null then "" else "--subst-var-by ${name} ${lib.escapeShellArg "${value}"}"
          ) replacements
        )
      }
      ${lib.optionalString isExecutable ''chmod +x "$target"''}
    '';
in
{
  inherit
    decorate
    mkDerivation
    runCommand
    writeTextFile
    writeText
    writeScript
    writeShellScript
    symlinkJoin
    buildEnv
    linkFarm
    replaceVarsWith
    ;

  runCommandLocal = runCommand;
  runCommandCC = runCommand;
  runCommandNoCC = runCommand;

  writeTextDir =
    path: text:
    writeTextFile {
      name = baseNameOf path;
      inherit text;
      destination = "/${path}";
    };

  writeScriptBin =
    name: text:
    writeTextFile {
      inherit name text;
      executable = true;
      destination = "/bin/${name}";
    };

  writeShellScriptBin =
    name: text:
    writeTextFile {
      inherit name;
      text = "${shebang}\n${text}\n";
      executable = true;
      destination = "/bin/${name}";
      meta.mainProgram = name;
    };

  writeShellApplication =
    {
      name,
      text,
      runtimeInputs ? [ ],
      runtimeEnv ? { },
      bashOptions ? [
        "errexit"
        "nounset"
        "pipefail"
      ],
      meta ? { },
      ...
    }:
    writeTextFile {
      inherit name;
      executable = true;
      destination = "/bin/${name}";
      meta = {
        mainProgram = name;
      }
      // meta;
      text = ''
        ${shebang}
        ${lib.concatMapStringsSep "\n" (option: "set -o ${option}") bashOptions}
        ${lib.toShellVars runtimeEnv}
        export PATH="${lib.makeBinPath runtimeInputs}:$PATH"
        ${text}
      '';
    };

  linkFarmFromDrvs =
    name: packages:
    linkFarm name (
      map (p: {
        inherit (p) name;
        path = p;
      }) packages
    );

  concatTextFile =
    {
      name,
      files,
      executable ? false,
      destination ? "",
      ...
    }:
    runCommand name { inherit files destination; } ''
      mkdir -p "$(dirname "$out$destination")"
      cat $files >"$out$destination"
      ${lib.optionalString executable ''chmod +x "$out$destination"''}
    '';

  concatText = name: files: runCommand name { inherit files; } "cat $files >$out";

  # All that some paths need at run time, one a line.
  closureInfo =
    { rootPaths }:
    runCommand "closure-info"
      {
        exportReferencesGraph = lib.concatLists (
          lib.imap0 (n: path: [
            "graph-${toString n}"
            path
          ]) rootPaths
        );
      }
      ''
        mkdir $out
        cat /dev/null graph-* | sed -n '/^\/nix\/store\//p' | sort -u >$out/store-paths
      '';

  # @name@ of every attribute.
  substituteAll =
    {
      src,
      isExecutable ? false,
      dir ? null,
      ...
    }@attributes:
    runCommand (attributes.name or (baseNameOf (toString src)))
      (removeAttrs attributes [
        "dir"
        "isExecutable"
      ])
      ''
        target=$out${lib.optionalString (dir != null) "/${dir}/$name"}
        mkdir -p "$(dirname "$target")"
        substituteAll "$src" "$target"
        ${lib.optionalString isExecutable ''chmod +x "$target"''}
        ${attributes.postInstall or ""}
      '';

  substitute =
    {
      src,
      substitutions ? [ ],
      ...
    }@attributes:
    runCommand (attributes.name or (baseNameOf (toString src))) { inherit src; } ''
      substitute "$src" "$out" ${lib.escapeShellArgs substitutions}
    '';

  replaceVars = src: replacements: replaceVarsWith { inherit src replacements; };

  copyPathToStore = path: builtins.path { inherit path; };

  emptyFile = writeText "empty-file" "";
  emptyDirectory = runCommand "empty-directory" { } "mkdir $out";
}
