[
  "zfs"
  "libossp_uuid"
]
