/** Where the local provisioner keeps volumes; the composition root knows the disk. */
export interface LocalVolumeFolders {
  /** Makes the volume's folder unless it is there, and yields its path. `name` is the PersistentVolume's. */
  create(name: string): Promise<string>;
  /** Removes the volume with all that is in it. No error when it is gone. */
  remove(name: string): Promise<void>;
}
