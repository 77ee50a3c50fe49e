# What a set of store paths refers to, as files: `store-paths` (one a line) and `registration`.
{ runCommand }:

{
  closureInfo =
    { rootPaths }:
    runCommand "closure-info"
      {
        exportReferencesGraph = builtins.concatLists (
          builtins.genList (n: [
            "graph-${toString n}"
            (builtins.elemAt rootPaths n)
          ]) (builtins.length rootPaths)
        );
      }
      ''
        mkdir $out
        cat /dev/null graph-* | grep ^/nix/store/ | sort -u >$out/store-paths || true
      '';
}
