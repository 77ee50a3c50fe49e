# A package of Debian as one of Nix: links to what dpkg lists of it, in the places that nixpkgs has for them.
{ lib, builders }:

let
  inherit (builders) decorate runCommand;
in
{
  #   packages    Debian's names
  #   prefix      a folder of theirs that becomes the package itself
  #   programs    of /usr/bin, besides: alternatives, which no package lists
  #   attributes  of the package, for who evaluates
  # A package that is not in the root is an error of the build, not of the evaluation.
  fromDebian =
    pname:
    {
      version ? "0",
      packages ? [ pname ],
      programs ? [ ],
      prefix ? "",
      postBuild ? "",
      attributes ? { },
    }:
    let
      drv = runCommand "${pname}-${version}" { inherit packages prefix programs; } ''
        mkdir -p "$out/bin"
        ln -s bin "$out/sbin"
        for package in $packages; do
          list=
          for candidate in /var/lib/dpkg/info/{"$package","$package":*}.list; do
            [ -e "$candidate" ] && list=$candidate
          done
          [ -n "$list" ] || die "the Debian package $package, which stands for $name, is not installed in this root"
          # Debian 12 still lists files of /usr as they were before the merge.
          sed -E 's,^/(bin|sbin|lib|lib64)/,/usr/\1/,' "$list" | while IFS= read -r file; do
            [[ -d $file && ! -L $file ]] && continue
            [[ -e $file || -L $file ]] || continue
            if [ -n "$prefix" ] && [ "''${file#"$prefix/"}" != "$file" ]; then
              target=''${file#"$prefix/"}
            else
              case $file in
                /usr/share/doc/* | /usr/share/locale/* | /usr/share/lintian/* | /usr/share/bug/*) continue ;;
                # Units and settings that Debian's packages bring would be those of the whole system.
                /usr/lib/systemd/system/* | /usr/lib/systemd/user/* | /usr/lib/udev/* | /usr/lib/*.d/*) continue ;;
                /usr/sbin/*) target=bin/''${file#/usr/sbin/} ;;
                /usr/*) target=''${file#/usr/} ;;
                *) continue ;;
              esac
            fi
            printf '%s\0%s\0' "$file" "$out/$target"
          done
        done | perl ${./link.pl} pairs
        for program in $programs; do
          [ -e "/usr/bin/$program" ] || die "$name has no /usr/bin/$program in this root"
          ln -sfn "/usr/bin/$program" "$out/bin/$program"
        done
        ${postBuild}
      '';
    in
    decorate drv ({ inherit pname version; } // attributes);

  # For evaluation alone: no program that a machine of the tests needs. A system's path goes without it; any other use
  # fails when it is built.
  absent =
    pname:
    decorate
      (runCommand pname { } ''
        die "$name is not among the packages of vm-tests/nixos: evaluate with it, but do not build it"
      '')
      {
        inherit pname;
        version = "0";
        isAbsent = true;
        meta.platforms = [ ];
      };
}
