# Makes links below the folder $out.
#   link.pl pairs < FILE           NUL-ended words: a file and where its link goes, a file and where..., all absolute
#   link.pl trees PART... -- TREE...  what the trees have in the folders PART (/ or /bin...), together; the first has its way
use strict;
use warnings;
use File::Basename;
use File::Path "make_path";

my $out = $ENV{out};

sub link_to {
    my ($file, $link) = @_;
    return if -l $link || -e $link;
    make_path(dirname $link);
    symlink($file, $link) or die "$link: $!\n";
}

sub tree {
    my ($from, $to) = @_;
    # A folder of an earlier tree that is a link has to become one that holds links.
    if (-l $to && -d $to) {
        my $first = readlink $to;
        unlink $to;
        tree($first, $to);
    }
    make_path($to);
    opendir my $folder, $from or die "$from: $!\n";
    for my $name (sort grep { $_ ne "." && $_ ne ".." } readdir $folder) {
        if (-d "$from/$name" && !-l "$from/$name") { tree("$from/$name", "$to/$name") }
        elsif (-d "$from/$name" && -d "$to/$name") { tree("$from/$name", "$to/$name") }
        else { link_to("$from/$name", "$to/$name") }
    }
}

my $what = shift;
if ($what eq "pairs") {
    local $/ = "\0";
    chomp(my @words = <STDIN>);
    while (my ($file, $link) = splice @words, 0, 2) { link_to($file, $link) }
} else {
    my @parts;
    while (defined(my $part = shift)) { last if $part eq "--"; push @parts, $part }
    make_path($out);
    for my $tree (@ARGV) {
        for my $part (@parts) {
            $part = "" if $part eq "/";
            tree("$tree$part", "$out$part") if -d "$tree$part";
        }
    }
}
